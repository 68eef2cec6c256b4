"""Time of the Metrics screen's query in a history of many tasks, spread evenly over some days.

Run: python -m benchmarks.history_metrics [TASKS] [DAYS]
Each span is queried several times; quote the median. Prompts and replies have 432 characters.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aios_tui.console.screens.metrics import SPANS
from aios_tui.reporting.history_metrics import measure
from persistence import History, schema

NOW = 1_800_000_000.0
TEXT = "Once upon a time there was a goose. " * 12
ROUNDS = 3


def fill(path: Path, tasks: int, days: float) -> None:
    """Write the history, without waiting for the disk."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = OFF")
    schema.migrate(raw, 0)
    begin = NOW - days * 86_400
    raw.execute("INSERT INTO runs (pid, program, version, started_at) VALUES (1, 'x', '0', ?)", (begin,))
    raw.execute("BEGIN")
    raw.executemany(
        "INSERT INTO tasks (id, agent, prompt, asked_priority, priority, accepted_run, submitted_at, state, started_at,"
        " ended_at, result) VALUES (?1, 'chat', ?6, 5, ?2, 1, ?3, 'done', ?4, ?5, ?6)",
        _rows(tasks, begin),
    )
    raw.executemany(
        "INSERT INTO attempts (task, start, round, attempt, state, slot, core, ready_at, started_at, ended_at, prompt,"
        " reply, tokens_out, ttft_s, service_s)"
        " VALUES (?1, 1, 1, 1, 'done', 'gpu/' || (?1 % 4), 'gpu', ?3, ?4, ?5, ?6, ?6, 120, 0.2, ?5 - ?4)",
        _rows(tasks, begin),
    )
    raw.execute("COMMIT")
    raw.close()


def _rows(tasks: int, begin: float) -> Iterator[tuple[Any, ...]]:
    rng = random.Random(1)
    for number in range(1, tasks + 1):
        at = begin + (number - 1) * (NOW - begin) / tasks
        start = min(NOW - 2, at + rng.expovariate(0.2))
        yield number, number % 10, at, start, min(NOW - 1, start + rng.expovariate(0.3)), TEXT


async def ask(path: Path) -> None:
    async with History(path) as history:
        for name, seconds, buckets, _ in SPANS:
            took = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                found = measure(await history.activity(NOW - seconds, NOW, buckets))
                took.append(time.perf_counter() - begun)
            print(f"{name:>6}: {found.all.ended:>9,} tasks ended in it, {statistics.median(took) * 1000:9.1f} ms")


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    days = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite3"
        fill(path, tasks, days)
        print(f"{tasks:,} tasks over {days:g} days, {path.stat().st_size / 1e6:,.0f} MB")
        asyncio.run(ask(path))


if __name__ == "__main__":
    main()
