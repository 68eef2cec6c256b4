"""Rows as the kernel's tasks, and what a new run of the program takes up from the ones before."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from engine.errors import StoreError
from engine.llm_query import LlmQuery
from engine.sanitise import one_line, sanitise
from engine.store import Recovery
from engine.task import GenerationOptions, Priority, Task, TaskSpec, TaskState

_SPEC = (
    "agent, prompt, asked_priority, asked_model, client, deadline, options, ref, workload, input_tokens, output_tokens"
)
_LATER = (
    "started_at, ended_at, dispatch_order, rounds, round_total, attempts, interruptions, retry_of, core, model, result,"
    " error, ttft_s, tokens_in, tokens_out, service_s, decode_s"
)
_NO_OPTIONS = GenerationOptions()
_PRIORITY: TypeAdapter[int] = TypeAdapter(Priority)
_DAMAGES = (ValueError, TypeError, OverflowError)  # what a row with wrong values raises

# The program died while these ran. What their attempts had cost stays with the attempts.
_INTERRUPT_ATTEMPTS = (
    "UPDATE attempts SET state = 'interrupted', ended_at = max(?1, started_at), error = 'the program died while it ran'"
    " WHERE state = 'executing'"
)
_REQUEUE = (
    "UPDATE tasks SET state = 'queued', interruptions = interruptions + 1, started_at = NULL, waiting_s = NULL,"
    " dispatch_order = NULL, round_total = NULL WHERE state = 'running'"
)
_FAIL = (
    "UPDATE tasks SET state = 'failed', ended_at = ?2, ended_run = ?3, turnaround_s = ?2 - submitted_at, error = ?4,"
    " held = 0,"
    " started_at = NULL, waiting_s = NULL, dispatch_order = NULL, round_total = NULL,"
    " (attempts, tokens_in, tokens_out, service_s, decode_s, core, model) = ("
    "  SELECT count(*), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0), total(service_s), total(decode_s),"
    "  max(core), max(model) FROM attempts WHERE task = ?1)"
    " WHERE id = ?1"
)


def to_task(row: tuple[Any, ...]) -> Task:
    """The task in `row`, selected by `TASK_COLUMNS`.

    Raises:
        ValueError, TypeError, OverflowError: the row is damaged.
    """
    agent, prompt, asked, model, client, deadline, options, ref, workload, tokens_in, tokens_out = row[:11]
    spec = TaskSpec(
        agent=agent,
        prompt=prompt,
        priority=asked,
        model=model,
        client=client,
        deadline=deadline,
        options=_NO_OPTIONS if options == "{}" else GenerationOptions.model_validate_json(options),
        ref=ref,
        workload=workload,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        query=None if row[32] is None else LlmQuery.model_validate_json(row[32]),
    )
    started_at, ended_at, order, rounds, round_total, attempts, interruptions, retry_of = row[15:23]
    core, answered_by, result, error = (None if text is None else sanitise(text) for text in row[23:27])
    ttft_s, spent_in, spent_out, service_s, decode_s = row[27:32]
    return Task(
        int(row[11]),
        spec,
        float(row[12]),
        _PRIORITY.validate_python(row[13]),
        TaskState(row[14]),
        started_at,
        ended_at,
        order,
        int(rounds),
        round_total,
        int(attempts),
        int(interruptions),
        retry_of,
        core,
        answered_by,
        result,
        error,
        ttft_s,
        int(spent_in),
        int(spent_out),
        float(service_s),
        float(decode_s),
        bool(row[33]),
    )


TASK_COLUMNS = f"{_SPEC}, id, submitted_at, priority, state, {_LATER}, query, held"


def load(connection: sqlite3.Connection, task_id: int) -> Task | None:
    """The task `task_id` as the history has it. Raises StoreError when its row is damaged."""
    row = connection.execute(f"SELECT {TASK_COLUMNS} FROM tasks WHERE id = ?", (task_id,)).fetchone()  # noqa: S608
    try:
        return None if row is None else to_task(row)
    except _DAMAGES as error:
        raise StoreError(f"task {task_id} in the history is damaged: {_why(error)}") from None


@dataclass(frozen=True, slots=True)
class _Found:
    queued: list[Task]
    damaged: dict[int, str]


def recover(connection: sqlite3.Connection, *, max_interruptions: int, run: int, at: float) -> Recovery:
    """Do what `engine.store.Store.recover` says, in the transaction that is open. `at` in Unix seconds."""
    connection.execute(_INTERRUPT_ATTEMPTS, (at,))
    running = connection.execute("SELECT id, interruptions + 1 FROM tasks WHERE state = 'running' ORDER BY id")
    counts: dict[int, int] = dict(running.fetchall())
    connection.execute(_REQUEUE)
    failed = []
    for task, count in counts.items():
        if count >= max_interruptions:
            times = "once" if count == 1 else f"{count} times"
            _fail(connection, task, run, at, f"interrupted {times}: the program died while it ran")
            failed.append(task)
    found = _queued(connection)
    for task, why in found.damaged.items():
        _fail(connection, task, run, at, f"its record in the history is damaged: {why}")
        failed.append(task)
    return Recovery(tuple(found.queued), frozenset(counts).difference(failed), tuple(sorted(failed)))


def _queued(connection: sqlite3.Connection) -> _Found:
    found = _Found([], {})
    rows = connection.execute(f"SELECT {TASK_COLUMNS} FROM tasks WHERE state = 'queued' ORDER BY id")  # noqa: S608
    for row in rows:
        try:
            found.queued.append(to_task(row))
        except _DAMAGES as error:
            found.damaged[int(row[11])] = _why(error)
    return found


def _fail(connection: sqlite3.Connection, task: int, run: int, at: float, error: str) -> None:
    connection.execute(_FAIL, (task, at, run, error))


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return one_line(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return one_line(str(error))
