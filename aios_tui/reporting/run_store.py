"""Stored runs, to be compared."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.reporting.results import Result
    from aios_tui.runtime.runtime import Runtime
    from engine.replay.tables import Run
    from persistence import NewReplay

LISTED = 200


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run in a list. `at`: Unix seconds of its storing; `complete`: it ran to the end."""

    id: int
    at: float
    workload: str
    policy: str
    kind: str
    tasks: int
    note: str = ""
    complete: bool = True


class Runs:
    """Runs in the history, among those of `aios-tui replay`. Every method raises AiosError when it fails."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def keep(self, workload: str, run: Run, *, at: float, complete: bool = True) -> int:
        """Store a run and return its id."""
        core = self._runtime.core_names if run.kind == "live" else None
        if core is not None:
            run.note = f"core {core}, {run.note}"

        def packed() -> NewReplay:
            from aios_tui.reporting.results import gather

            return new_replay(workload, *gather(workload, [(run, complete)]).results, at=at, core=core)

        return await self._runtime.store.keep_replay(await asyncio.to_thread(packed))

    async def listed(self) -> Sequence[StoredRun]:
        """Return the stored runs, newest first."""
        rows = await self._runtime.history.replays(LISTED)
        return [
            StoredRun(row.id, row.at, one_line(row.workload, 100), one_line(row.policy, 60), one_line(row.mode, 12),
                    row.tasks, one_line(row.note, 300), row.complete)
            for row in rows
        ]  # fmt: skip

    async def load(self, id: int) -> Run:
        """Return a run with its tasks."""
        from engine.replay.codec import unpack

        found = await self._runtime.history.replay(id)
        if found is None:
            raise UsageError(f"there is no run {id} any more")
        return await asyncio.to_thread(unpack, found.columns)

    async def delete(self, id: int) -> None:
        """Delete a run."""
        await self._runtime.store.delete_replay(id)


def new_replay(workload: str, result: Result, *, at: float, core: str | None = None) -> NewReplay:
    """Return the row that stores a run in the history. `at`: Unix seconds; `core`: None in virtual time."""
    from aios_tui.reporting.schema import run_report
    from engine.replay.codec import pack
    from persistence import NewReplay

    return NewReplay(
        at=at,
        workload=workload,
        policy=result.run.policy,
        mode=result.run.kind,
        core=core,
        note=result.run.note,
        complete=result.complete,
        tasks=result.metrics.n,
        metrics=run_report(result).model_dump(mode="json"),
        columns=pack(result.run),
    )


def plain_name(workload: str) -> str:
    """Return a workload's name without the suffix of its file."""
    from engine.workloads.compression import SUFFIXES

    name = one_line(workload, 100)
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
