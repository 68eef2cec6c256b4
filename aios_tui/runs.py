"""Runs that were kept to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.errors import UsageError
from engine.replay.columns import Run
from engine.text import one_line


@dataclass(frozen=True, slots=True)
class KeptRun:
    """What a list says of a run. `at`: when it was made, Unix seconds; `complete`: it was not broken off."""

    id: int
    at: float
    workload: str
    policy: str
    kind: str
    tasks: int
    note: str = ""
    complete: bool = True


class Runs(Protocol):
    """Where runs are kept."""

    async def keep(self, workload: str, run: Run, *, at: float, complete: bool = True) -> int:
        """Keep a run; returns its id. Raises AiosError."""

    async def listed(self) -> Sequence[KeptRun]:
        """All that are kept, the newest first. Raises AiosError."""

    async def load(self, id: int) -> Run:
        """One with its tasks. Raises AiosError when it is not there any more, or can't be read."""

    async def delete(self, id: int) -> None:
        """Let one go. Raises AiosError."""


class MemoryRuns:
    """Runs kept as long as the program runs."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[KeptRun, Run]] = {}
        self._last = 0

    async def keep(self, workload: str, run: Run, *, at: float, complete: bool = True) -> int:
        self._last += 1
        kept = KeptRun(
            self._last, at, one_line(workload, 100), run.policy, run.kind, len(run.tasks), run.note, complete
        )
        self._runs[kept.id] = kept, run
        return kept.id

    async def listed(self) -> Sequence[KeptRun]:
        return [kept for kept, _ in reversed(self._runs.values())]

    async def load(self, id: int) -> Run:
        if id not in self._runs:
            raise UsageError(f"run {id} is not kept any more")
        return self._runs[id][1]

    async def delete(self, id: int) -> None:
        self._runs.pop(id, None)
