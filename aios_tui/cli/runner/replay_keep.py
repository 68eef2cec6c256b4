"""Save the runs of a replay in the history."""

from __future__ import annotations

import time
from collections.abc import Iterable

from aios_tui.cli.output import print_note
from aios_tui.reporting.results import Result, Results
from engine.errors import StoreError
from engine.wording import plural
from persistence import SqliteStore


async def keep_virtual(store: SqliteStore, results: Results) -> None:
    """Open `store` and save virtual runs; print a message when another program has the history open."""
    try:
        await store.open()
        try:
            await keep_runs(store, results.workload, results.results)
        finally:
            await store.close()
    except StoreError as error:
        print_note(f"the runs are not saved: {error}")


async def keep_runs(store: SqliteStore, workload: str, results: Iterable[Result], core: str | None = None) -> None:
    """Save `results` in an open store, and print their ids. Raises StoreError."""
    from aios_tui.reporting.run_record import new_replay

    at = time.time()
    ids = [await store.keep_replay(new_replay(workload, result, at=at, core=core)) for result in results]
    print_note(f"{plural(len(ids), 'run')} saved, id {', '.join(map(str, ids))}; see `aios-tui runs`")
