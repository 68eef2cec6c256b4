"""A process for tests whose files may not grow beyond a limit for a while, as on a disk that fills up for real.

`python -m tests.persistence.limited PATH` prints one JSON object with what happened.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from pathlib import Path

from engine.errors import StoreError
from persistence import SqliteStore
from tests.persistence.helpers import accepted, attempt, attempt_ended, ended, started

LONG = "words that need room " * 5_000


async def main(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails with EFBIG
    reported: list[str | None] = []
    store = SqliteStore(path)
    await store.open()
    store.on_write_error(reported.append)
    await store.commit([accepted(1)])
    store.append(started(1))
    await store.commit([attempt(1)])

    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = path.with_name(path.name + "-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + 5_000, unlimited[1]))
    end = asyncio.create_task(store.commit([attempt_ended(1, reply=LONG), ended(1, result=LONG)]))
    refused = ""
    try:
        await store.commit([accepted(2, LONG)])
    except StoreError as error:
        refused = str(error)
    waited = not end.done()
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    await end
    await store.commit([accepted(3)])
    await store.close()
    sys.stdout.write(json.dumps({"refused": refused, "waited": waited, "reported": reported}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
