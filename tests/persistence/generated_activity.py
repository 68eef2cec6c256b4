"""Histories made up row by row, and the same metrics worked out of them the slow, plain way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from persistence import schema

STATES = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class MadeAttempt:
    """`end` None: it executes. `service` 0 with an end: the program died in it."""

    ready: float
    begin: float
    end: float | None
    slot: str = "gpu/0"
    tokens: int = 0
    ttft: float | None = None
    state: str = "done"
    start: int = 1

    @property
    def service(self) -> float:
        return 0.0 if self.end is None or self.state == "interrupted" else self.end - self.begin


@dataclass(frozen=True, slots=True)
class MadeTask:
    """`end` None: not ended."""

    submitted: float
    priority: int = 5
    attempts: tuple[MadeAttempt, ...] = ()
    end: float | None = None
    state: str = "done"
    started: float | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A history: its tasks, and the programs that had it, the last one running when its end is None."""

    tasks: Sequence[MadeTask]
    runs: Sequence[tuple[float, float | None]] = ((0.0, None),)
    switches: Sequence[float] = field(default=())


def blank() -> sqlite3.Connection:
    """An empty history in memory."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(raw, 0)
    raw.execute("DROP TRIGGER tasks_words_delete")  # rows are written without their words here
    raw.row_factory = sqlite3.Row
    return raw


def write(raw: sqlite3.Connection, made: Made) -> None:
    """Put the rows in the place of all that were there."""
    raw.execute("BEGIN")
    for table in ("attempts", "tasks", "policy_switches", "runs"):
        raw.execute(f"DELETE FROM {table}")
    raw.executemany(
        "INSERT INTO runs (id, pid, program, version, started_at, ended_at) VALUES (?, 1, 'x', '0', ?, ?)",
        [(number, *run) for number, run in enumerate(made.runs, 1)],
    )
    raw.executemany(
        "INSERT INTO tasks (id, agent, prompt, asked_priority, priority, accepted_run, submitted_at, state, started_at,"
        " ended_at) VALUES (?, 'chat', 'x', 5, ?, 1, ?, ?, ?, ?)",
        [_task(number, task) for number, task in enumerate(made.tasks, 1)],
    )
    raw.executemany(
        "INSERT INTO attempts (task, start, round, attempt, state, slot, core, ready_at, started_at, ended_at, prompt,"
        " tokens_out, ttft_s, service_s) VALUES (?, ?, ?, 1, ?, ?, 'gpu', ?, ?, ?, 'x', ?, ?, ?)",
        [
            (number, each.start, place, each.state if each.end is not None else "executing", each.slot, each.ready,
             each.begin, each.end, each.tokens, each.ttft, each.service)
            for number, task in enumerate(made.tasks, 1)
            for place, each in enumerate(task.attempts, 1)
        ],
    )  # fmt: skip
    raw.execute("COMMIT")


def _task(number: int, task: MadeTask) -> tuple[object, ...]:
    running = "running" if task.started is not None else "queued"
    state = running if task.end is None else task.state
    return number, task.priority, task.submitted, state, task.started, task.end


# The slow way


def overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def quantile(values: Iterable[float], q: float) -> float | None:
    ranked = sorted(values)
    if not ranked:
        return None
    place = (len(ranked) - 1) * q
    low = int(place)
    return ranked[low] + (ranked[min(low + 1, len(ranked) - 1)] - ranked[low]) * (place - low)


class Slow:
    """The metrics of `made` from `since` to `until`, each by its definition, a bucket and a row at a time."""

    def __init__(self, made: Made, since: float, until: float, *, program_runs: Sequence[tuple[float, float]]) -> None:
        self.made, self.since, self.until = made, since, until
        self.lives = program_runs
        self.over = program_runs[-1][1] if program_runs else since

    def tasks(self, priority: int | None) -> list[MadeTask]:
        return [task for task in self.made.tasks if priority in (None, task.priority)]

    def waiting(self, task: MadeTask) -> list[tuple[float, float]]:
        """When its syscalls were ready and did not run."""
        found = []
        for each in task.attempts:
            before = [other.end for other in task.attempts if other.start < each.start and other.end is not None]
            found.append((max([each.ready, *before]), each.begin))
        if task.started is None:
            ends = [each.end for each in task.attempts if each.end is not None]
            found.append((max([task.submitted, *ends]), self.over if task.end is None else task.end))
        return found

    def running(self, a: float, b: float) -> float:
        return sum(overlap((a, b), life) for life in self.lives)

    def slots(self, life: tuple[float, float]) -> int:
        return len({
            each.slot
            for task in self.made.tasks
            for each in task.attempts
            if life[0] <= each.begin <= life[1] and (each.end is None or life[0] < each.end <= life[1])
        })  # fmt: skip

    def values(self, a: float, b: float, priority: int | None) -> dict[str, float | None]:
        """All six over the time from a to b."""
        tasks = self.tasks(priority)
        attempts = [each for task in tasks for each in task.attempts]
        seconds = self.running(a, b)
        queue = sum(
            overlap((max(wait[0], a), min(wait[1], b)), life)
            for task in tasks for wait in self.waiting(task) for life in self.lives
        )  # fmt: skip
        waits = [
            each.begin - wait[0]
            for task in tasks for each, wait in zip(task.attempts, self.waiting(task), strict=False)
            if a <= each.begin < b
        ]  # fmt: skip
        busy = sum(
            overlap((each.begin, max(each.begin, self.over) if each.end is None else each.begin + each.service), (a, b))
            for each in attempts
        )
        tokens = 0.0
        for each in attempts:
            if each.tokens and each.end is not None:
                over, first = each.begin + each.service, each.begin + (each.ttft or 0.0)
                first = min(first, over - 0.001)
                tokens += each.tokens * overlap((first, over), (a, b)) / (over - first)
        ended = sum(task.end is not None and a <= task.end < b for task in tasks)
        room = sum(self.slots(life) * overlap((a, b), life) for life in self.lives)
        over_time: Callable[[float], float | None] = lambda amount: amount / seconds if seconds > 0 else None  # noqa: E731
        return {
            "queue": over_time(queue),
            "waiting_p50_s": quantile(waits, 0.5),
            "waiting_p95_s": quantile(waits, 0.95),
            "throughput_per_min": over_time(ended * 60),
            "tokens_per_s": over_time(tokens),
            "utilisation": busy / room if room > 0 else None,
        }
