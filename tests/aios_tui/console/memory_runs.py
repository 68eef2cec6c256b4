"""A store of runs for tests of the console."""

from __future__ import annotations

from collections.abc import Sequence

from aios_tui.reporting.run_store import Runs, StoredRun
from engine.errors import UsageError
from engine.replay.tables import Run
from engine.sanitise import one_line


class MemoryRuns(Runs):
    """Runs in memory, until the program ends."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[StoredRun, Run]] = {}
        self._last = 0

    async def keep(self, workload: str, run: Run, *, at: float, complete: bool = True) -> int:
        self._last += 1
        stored = StoredRun(
            self._last, at, one_line(workload, 100), run.policy, run.kind, len(run.tasks), run.note, complete
        )
        self._runs[stored.id] = stored, run
        return stored.id

    async def listed(self) -> Sequence[StoredRun]:
        return [stored for stored, _ in reversed(self._runs.values())]

    async def load(self, id: int) -> Run:
        if id not in self._runs:
            raise UsageError(f"there is no run {id} any more")
        return self._runs[id][1]

    async def delete(self, id: int) -> None:
        self._runs.pop(id, None)
