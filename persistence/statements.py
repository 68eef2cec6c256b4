"""Translate a batch of events into rows and as few SQL statements as possible."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from engine.events import (
    AttemptEnded,
    AttemptStarted,
    Durable,
    PolicyChanged,
    TaskAccepted,
    TaskEnded,
    TaskHeld,
    TaskReprioritised,
    TaskRequeued,
    TaskStarted,
)
from engine.sanitise import sanitise
from engine.task import GenerationOptions

Row = tuple[Any, ...]
MAX_INTEGER = 2**63 - 1
_NO_OPTIONS = GenerationOptions()
_RESULT = 12  # its place in a row of "end"


@dataclass(frozen=True, slots=True)
class CoreNamed:
    """A record of the store itself: the core that this run of the program uses."""

    core: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A record of the store itself: the end of this run of the program."""

    at: float


Record = Durable | CoreNamed | RunEnded


class Refused(Exception):
    """A record that contradicts the history, such as a second end of a task."""


@dataclass(frozen=True, slots=True)
class Statement:
    """`exact`: each row must change exactly one row of the table, or the record contradicts the history."""

    sql: str
    exact: bool = True


# The order in which the statements of one batch run. For the records of one task it agrees with the order in which
# they can come, except after a requeue: see `_groups`.
STATEMENTS = {
    "accept": Statement(
        "INSERT INTO tasks (id, agent, prompt, asked_priority, priority, asked_model, client, deadline, options, ref,"
        " workload, input_tokens, output_tokens, retry_of, accepted_run, submitted_at, query)"
        " VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    ),
    "index": Statement("INSERT INTO tasks_words (rowid, prompt) VALUES (?, ?)", exact=False),
    "hold": Statement("UPDATE tasks SET held = ?2 WHERE id = ?1 AND state = 'queued'"),
    "start": Statement(
        "UPDATE tasks SET state = 'running', held = 0, starts = starts + 1, started_at = ?2,"
        " waiting_s = ?2 - submitted_at, dispatch_order = ?3, round_total = ?4 WHERE id = ?1 AND state = 'queued'"
    ),
    "attempt": Statement(
        "INSERT INTO attempts (task, start, round, attempt, slot, core, model, ready_at, started_at, prompt)"
        " VALUES (?1, (SELECT starts FROM tasks WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    ),
    "attempt_end": Statement(
        "UPDATE attempts SET state = ?4, ended_at = ?5, model = coalesce(?6, model), reply = ?7, thinking = ?8,"
        " tokens_in = ?9, tokens_out = ?10, load_s = ?11, prefill_s = ?12, decode_s = ?13, ttft_s = ?14,"
        " service_s = ?15, fault = ?16, error = ?17, tool_calls = ?18"
        " WHERE task = ?1 AND start = (SELECT starts FROM tasks WHERE id = ?1) AND round = ?2 AND attempt = ?3"
        " AND state = 'executing'"
    ),
    "priority": Statement(
        "UPDATE tasks SET priority = ?2 WHERE id = ?1 AND state IN ('queued', 'running')", exact=False
    ),
    "priority_change": Statement("INSERT INTO priority_changes (task, at, priority, previous) VALUES (?, ?, ?, ?)"),
    "requeue": Statement(
        "UPDATE tasks SET state = 'queued', started_at = NULL, waiting_s = NULL, dispatch_order = NULL,"
        " round_total = NULL WHERE id = ?1 AND state = 'running'"
    ),
    "end": Statement(
        "UPDATE tasks SET state = ?2, priority = ?3, dispatch_order = ?4, started_at = ?5, ended_at = ?6,"
        " ended_run = ?7, round_total = ?8, rounds = ?9, attempts = ?10, core = ?11, model = ?12, result = ?13,"
        " error = ?14, waiting_s = ?5 - submitted_at, turnaround_s = ?6 - submitted_at, service_s = ?15,"
        " decode_s = ?16, ttft_s = ?17, tokens_in = ?18, tokens_out = ?19, fault_kind = ?20, fault_model = ?21,"
        " fault_core = ?22, held = 0"
        " WHERE id = ?1 AND state IN ('queued', 'running')"
    ),
    "policy": Statement("INSERT INTO policy_switches (at, run, policy, previous) VALUES (?, ?, ?, ?)"),
    "core": Statement("UPDATE runs SET core = ? WHERE id = ?"),
    "run_end": Statement("UPDATE runs SET ended_at = ? WHERE id = ?"),
}


_SPEC = attrgetter("agent", "prompt", "priority", "model", "client", "deadline")
_SPEC_ORIGIN = attrgetter("ref", "workload", "input_tokens", "output_tokens")
_ATTEMPT_KEY = attrgetter("task", "round", "attempt")
_ATTEMPT = attrgetter("slot", "core", "model", "ready_at", "at", "prompt")
_REPLY = attrgetter("at", "model", "reply", "thinking")
_USAGE = attrgetter("tokens_in", "tokens_out", "load_s", "prefill_s", "decode_s")
_FINAL = attrgetter("round_total", "rounds", "attempts", "core", "model", "result", "error")
_FINAL_COST = attrgetter("service_s", "decode_s", "ttft_s", "tokens_in", "tokens_out")
_FAULT = attrgetter("kind", "model", "core")


def _rows(record: Record, run: int) -> Iterator[tuple[str, Row]]:
    """The rows of one record, each with the name of its statement."""
    match record:
        case AttemptStarted():
            yield "attempt", (*_ATTEMPT_KEY(record), *_ATTEMPT(record))
        case AttemptEnded():
            yield "attempt_end", _attempt_end(record)
        case TaskAccepted(spec=spec):
            options = "{}" if spec.options == _NO_OPTIONS else spec.options.model_dump_json(exclude_none=True)
            query = None if spec.query is None else spec.query.model_dump_json(exclude_defaults=True)
            origin = (*_SPEC_ORIGIN(spec), record.retry_of)
            yield "accept", (record.task, *_SPEC(spec), options, *origin, run, record.at, query)
            yield "index", (record.task, spec.prompt)
        case TaskStarted():
            yield "start", (record.task, record.at, record.dispatch_order, record.round_total)
        case TaskEnded():
            yield "end", _end(record, run)
        case TaskRequeued():
            yield "requeue", (record.task,)
        case TaskReprioritised():
            yield "priority", (record.task, record.priority)
            yield "priority_change", (record.task, record.at, record.priority, record.previous)
        case TaskHeld():
            yield "hold", (record.task, int(record.held))
        case PolicyChanged():
            yield "policy", (record.at, run, record.policy, record.previous)
        case CoreNamed():
            yield "core", (record.core, run)
        case RunEnded():
            yield "run_end", (record.at, run)
        case _:  # the writer drops such a record, and writes the others
            raise TypeError(f"there are no rows for {type(record).__name__}")


def _attempt_end(event: AttemptEnded) -> Row:
    calls = [{"name": each.name, "arguments": each.arguments, "id": each.id} for each in event.tool_calls]
    return (
        *_ATTEMPT_KEY(event),
        event.state.value,
        *_REPLY(event),
        *_USAGE(event.usage),
        event.ttft_s,
        event.service_s,
        None if event.fault is None else event.fault.value,
        event.error,
        json.dumps(calls) if calls else "",  # ASCII, so that the database can refuse no character
    )


def _end(event: TaskEnded, run: int) -> Row:
    task = event.final
    return (
        event.task,
        event.state.value,
        task.priority,
        task.dispatch_order,
        task.started_at,
        event.at if task.ended_at is None else task.ended_at,
        run,
        *_FINAL(task),
        *_FINAL_COST(task),
        *((None, None, None) if task.fault is None else _FAULT(task.fault)),
    )


def _groups(records: Iterable[Record], run: int) -> Iterator[dict[str, list[Row]]]:
    """The rows of `records` by statement, in as few groups as possible without changing the result.

    Within a group all rows of one statement are executed before those of the next statement. That is equivalent to the
    given order unless a record of a task follows its requeue, so such a record begins a new group.
    """
    group: dict[str, list[Row]] = {name: [] for name in STATEMENTS}
    requeued: set[int] = set()
    for record in records:
        if requeued and getattr(record, "task", None) in requeued:
            yield group
            group, requeued = {name: [] for name in STATEMENTS}, set()
        if isinstance(record, TaskRequeued):
            requeued.add(record.task)
        for name, row in _rows(record, run):
            group[name].append(row)
    yield group


def write(connection: sqlite3.Connection, records: Iterable[Record], run: int, *, coerce: bool = False) -> None:
    """Write `records` in the open transaction. `coerce`: replace values that the database refuses (text, range).

    Raises:
        Refused: a record contradicts the history.
        sqlite3.Error: the database can't store them.
    """
    for group in _groups(records, run):
        for name, rows in group.items():
            if not rows:
                continue
            if coerce:
                rows = [tuple(map(_storable, row)) for row in rows]  # noqa: PLW2901
            statement = STATEMENTS[name]
            if name == "end":
                _index_results(connection, rows)
            changed = connection.executemany(statement.sql, rows).rowcount
            if statement.exact and changed != len(rows):
                raise Refused(f"{name}: {changed} of {len(rows)} rows")


def _index_results(connection: sqlite3.Connection, ends: Sequence[Row]) -> None:
    """Add the results of tasks that are about to end to the search index, beside their prompts.

    FTS5 deletes an entry only if given exactly the text it was added with, so the prompts are read from the table.
    """
    results = {row[0]: row[_RESULT] for row in ends if row[_RESULT] is not None}
    query = "SELECT id, prompt FROM tasks WHERE id = ? AND state IN ('queued', 'running')"
    known = [row for task in results for row in connection.execute(query, (task,))]
    connection.executemany("INSERT INTO tasks_words (tasks_words, rowid, prompt) VALUES ('delete', ?, ?)", known)
    connection.executemany(
        "INSERT INTO tasks_words (rowid, prompt, result) VALUES (?, ?, ?)",
        [(task, prompt, results[task]) for task, prompt in known],
    )


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return sanitise(value)
    if isinstance(value, int):
        return max(-MAX_INTEGER, min(value, MAX_INTEGER))
    return value


def describe(record: Record) -> str:
    """A record on one line, for the log: its kind and its ids, none of its text."""
    names = ("task", "round", "attempt", "state")
    ids = ", ".join(f"{name} {getattr(record, name)}" for name in names if hasattr(record, name))
    return f"{type(record).__name__}({ids})"


def all_acceptances(records: Sequence[Record]) -> bool:
    """True if all `records` are submissions, the only records that may fail."""
    return bool(records) and all(isinstance(record, TaskAccepted) for record in records)
