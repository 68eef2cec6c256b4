"""Keeping the runs of a replay in the history."""

from __future__ import annotations

import time
from collections.abc import Iterable

from aios_tui.cli.output import Output
from aios_tui.cli.runner.replay_plan import ReplayPlan
from aios_tui.reporting.results import Result, Results
from engine.errors import StoreError
from persistence import SqliteStore


async def keep_virtual(plan: ReplayPlan, results: Results, out: Output) -> None:
    """Keep the runs in the history; when another program has it, say so and go on."""
    store = SqliteStore(plan.settings.db, program="replay")
    try:
        await store.open()
        try:
            kept = await keep(store, results.workload, results.results)
        finally:
            await store.close()
    except StoreError as error:
        out.say(f"the runs are not kept: {error}")
        return
    tell_kept(kept, out)


async def keep(store: SqliteStore, workload: str, results: Iterable[Result], core: str | None = None) -> list[int]:
    """Keep `results`; returns their ids. Raises StoreError."""
    from aios_tui.reporting.run_record import new_replay

    at = time.time()
    return [await store.keep_replay(new_replay(workload, result, at=at, core=core)) for result in results]


def tell_kept(ids: list[int], out: Output) -> None:
    if ids:
        told = ", ".join(map(str, ids))
        out.say(f"kept as run{'' if len(ids) == 1 else 's'} {told}; see `aios-tui runs`")
