"""Recovery: tasks that earlier runs of the program left unfinished, and rows as the kernel's tasks.

Guarantee: a task that was accepted gets exactly one recorded end, whatever happens to the program in between. Recovery
runs in one transaction before anything is dispatched, so a crash during recovery changes nothing.

A task that was running when the program died is queued again and starts from its first round. Resuming in the middle
was rejected: an agent's state lives in the program's memory, and a model's reply can't be continued on another server.
Its attempts stay in the history as `interrupted`; the new ones get a higher `start` number, so that (task, start,
round, attempt) stays unique and the cost of each start can be compared.

A task that kills the program each time it runs would make every start crash. So each interruption is counted, and at
`max_interruptions` the task fails, with the summed cost of all of its attempts.

A damaged row (flipped bits, edits by hand) must not keep the program from starting, and must not be skipped silently
either: the task would stay queued for ever and its waiters with it. It fails with an error that names the column, and
all other tasks are queued. The same row read by `load` raises StoreError, because there nothing may be changed.

Values pass the same validation as a submission's (TaskSpec), and text is sanitised, because the file may come from
anywhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from engine.errors import StoreError
from engine.llm_query import LlmQuery
from engine.sanitise import one_line, sanitise
from engine.store import Recovery
from engine.task import GenerationOptions, Priority, Task, TaskFault, TaskSpec, TaskState

_SPEC = ("agent", "prompt", "client", "deadline", "ref", "workload", "input_tokens", "output_tokens")
"""Columns that are fields of TaskSpec under the same name."""
_LATER = (
    *("started_at", "ended_at", "dispatch_order", "rounds", "round_total", "attempts", "interruptions", "retry_of"),
    *("core", "model", "result", "error", "ttft_s", "tokens_in", "tokens_out", "service_s", "decode_s"),
)
"""Columns that are fields of Task under the same name, and change after the submission."""
_COLUMNS = (
    *(*_SPEC, "asked_priority", "asked_model", "options", "query", "id", "submitted_at", "priority", "state"),
    *(*_LATER, "held", "fault_kind", "fault_model", "fault_core"),
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM tasks"  # noqa: S608
_NO_OPTIONS = GenerationOptions()
_PRIORITY: TypeAdapter[int] = TypeAdapter(Priority)
_DAMAGES = (ValueError, TypeError, OverflowError)  # raised for a row with wrong values

# The program died while these ran. The cost of their attempts stays with the attempts.
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
    """The task in a row of `_SELECT`.

    Raises:
        ValueError, TypeError, OverflowError: the row is damaged.
    """
    values = dict(zip(_COLUMNS, row, strict=True))
    options = values["options"]
    spec = to_spec(values, _NO_OPTIONS if options == "{}" else GenerationOptions.model_validate_json(options))
    later = {name: values[name] for name in _LATER}
    for name in ("rounds", "attempts", "interruptions", "tokens_in", "tokens_out"):
        later[name] = int(later[name])
    for name in ("service_s", "decode_s"):
        later[name] = float(later[name])
    for name in ("core", "model", "result", "error"):
        later[name] = _safe(later[name])
    kind, fault_model, fault_core = (_safe(values[name]) for name in ("fault_kind", "fault_model", "fault_core"))
    return Task(
        id=int(values["id"]),
        spec=spec,
        submitted_at=float(values["submitted_at"]),
        priority=_PRIORITY.validate_python(values["priority"]),
        state=TaskState(values["state"]),
        held=bool(values["held"]),
        fault=None if kind is None else TaskFault(kind, fault_model, fault_core),
        **later,
    )


def to_spec(values: Mapping[str, Any], options: GenerationOptions) -> TaskSpec:
    """A task as it was submitted. Raises ValidationError if its columns are damaged."""
    query = values["query"]
    return TaskSpec(
        priority=values["asked_priority"],
        model=values["asked_model"],
        options=options,
        query=None if query is None else LlmQuery.model_validate_json(query),
        **{name: values[name] for name in _SPEC},
    )


def _safe(text: str | None) -> str | None:
    return None if text is None else sanitise(text)


def load(connection: sqlite3.Connection, task_id: int) -> Task | None:
    """The task `task_id`; None if there is none. Raises StoreError if its row is damaged."""
    row = connection.execute(f"{_SELECT} WHERE id = ?", (task_id,)).fetchone()
    try:
        return None if row is None else to_task(row)
    except _DAMAGES as error:
        raise StoreError(f"task {task_id} in the history is damaged: {_reason(error)}") from None


def recover(connection: sqlite3.Connection, *, max_interruptions: int, run: int, at: float) -> Recovery:
    """Implement `engine.store.Store.recover` in the open transaction. `at`: now, in Unix seconds."""
    connection.execute(_INTERRUPT_ATTEMPTS, (at,))
    running = connection.execute("SELECT id, interruptions + 1 FROM tasks WHERE state = 'running' ORDER BY id")
    counts: dict[int, int] = dict(running.fetchall())
    connection.execute(_REQUEUE)
    failed: dict[int, str] = {}
    queued: list[Task] = []
    for task, count in counts.items():
        if count >= max_interruptions:
            times = "once" if count == 1 else f"{count} times"
            failed[task] = f"interrupted {times}: the program died while it ran"
    for row in connection.execute(f"{_SELECT} WHERE state = 'queued' ORDER BY id"):
        task = int(row[_COLUMNS.index("id")])
        try:
            if task not in failed:
                queued.append(to_task(row))
        except _DAMAGES as error:
            failed[task] = f"its record in the history is damaged: {_reason(error)}"
    connection.executemany(_FAIL, [(task, at, run, reason) for task, reason in failed.items()])
    return Recovery(tuple(queued), frozenset(counts).difference(failed), tuple(sorted(failed)))


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return one_line(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    return one_line(str(error))
