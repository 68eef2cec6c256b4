"""The read side of the history: queries of `aios-tui history`, scripts and the console."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self, TypedDict, TypeVar, Unpack

from pydantic import BaseModel

from engine.errors import StoreError
from engine.sanitise import sanitise
from engine.task import TaskRecord, TaskState
from persistence import activity, integrity, replays
from persistence.activity import Activity
from persistence.cancellable_reader import CancellableReader
from persistence.read_connection import ReadConnection
from persistence.replays import ReplayDetail, ReplayRow
from persistence.rows import (
    RECORD_COLUMNS,
    AgentRow,
    AttemptRow,
    PriorityChangeRow,
    RunRow,
    TaskDetail,
    to_model,
    to_options,
    to_record,
    to_timing,
)
from persistence.search import Search, parse
from persistence.submissions import ACTS, COLUMNS, ActRow, Submission, to_submission

# Inside the class, `list` would mean the method of History.
T = TypeVar("T")
Rows = list[T]

_PAGE = 200  # tasks held at a time by an export
MAX_ROWS = 2**62

_DETAIL = "asked_priority, asked_model, options, starts, interruptions, round_total, accepted_run, ended_run"
_ATTEMPT = ", ".join(AttemptRow.model_fields)

# An agent's plain name follows the last slash; rtrim removes all characters that are no slash.
_BY_AGENT = (
    "SELECT substr(agent, length(rtrim(agent, replace(agent, '/', ''))) + 1) AS agent, count(*) AS tasks,"
    " sum(state = 'done') AS done, sum(state = 'failed') AS failed, sum(state = 'cancelled') AS cancelled,"
    " avg(CASE state WHEN 'done' THEN waiting_s END) AS waiting_s,"
    " avg(CASE state WHEN 'done' THEN turnaround_s END) AS turnaround_s,"
    " sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out, max(submitted_at) AS last_at"
    " FROM tasks GROUP BY 1"
)

_CLAUSES = {
    "state": "state = :state",
    "agent": "(agent = :agent OR substr(agent, -length(:agent) - 1) = '/' || :agent)",
    "client": "client = :client",
    "since": "submitted_at >= :since",
    "until": "submitted_at < :until",
}

Model = TypeVar("Model", bound=BaseModel)


class HistoryFilter(TypedDict, total=False):
    """Select tasks by state, agent (with or without its path), client, and `since` ≤ submission < `until`."""

    state: TaskState | None
    agent: str | None
    client: str | None
    since: float | None
    until: float | None


class History:
    """Reads a history, also while another process owns it. Opens at the first call; an async context manager.

    Every method raises StoreError, with one line, if there is no history at `path`, the file is something else, or it
    can't be read. Text is sanitised.
    """

    def __init__(self, path: Path) -> None:
        self._reader = ReadConnection(path)
        self._slow_reader = CancellableReader(ReadConnection(path))
        self.path = self._reader.path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Idempotent; a later call of another method opens it again."""
        await self._slow_reader.close()
        await self._reader.close()

    async def list(
        self,
        limit: int | None = 50,
        offset: int = 0,
        *,
        newest_first: bool = True,
        **filters: Unpack[HistoryFilter],
    ) -> Rows[TaskRecord]:
        """Tasks that match the filter, in order of submission. `limit` None: all."""
        where, values = _where(filters)
        sql = (
            f"SELECT {RECORD_COLUMNS} FROM tasks {where}"  # noqa: S608  (only our own words are put in)
            f" ORDER BY id {'DESC' if newest_first else 'ASC'} LIMIT :limit OFFSET :offset"
        )
        values |= {"limit": _limit(limit), "offset": _limit(offset)}
        return await self._reader.run(lambda connection: _records(connection, sql, values))

    async def show(self, task_id: int) -> TaskDetail | None:
        """Everything about one task; None if there is none with this id."""
        if not 0 <= task_id <= MAX_ROWS:
            return None
        return await self._reader.run(lambda connection: _detail(connection, task_id))

    async def search(self, text: str, limit: int = 50) -> Rows[TaskRecord]:
        """Tasks whose prompt and result contain all words of `text`, the last one as a prefix; best match first."""
        search = parse(text)
        if search is None:
            return []
        sql, values = _search_sql(search)
        values["limit"] = _limit(limit)
        return await self._reader.run(lambda connection: _records(connection, sql, values))

    async def export(self, **filters: Unpack[HistoryFilter]) -> AsyncIterator[TaskRecord]:
        """Tasks that match the filter, oldest first. Reads pages, with no read transaction between them."""
        async for record in self._paged(RECORD_COLUMNS, to_record, filters):
            yield record

    async def submissions(self, **filters: Unpack[HistoryFilter]) -> AsyncIterator[Submission]:
        """As `export`, but the tasks as they were submitted. Rows that are damaged beyond use are left out."""
        async for submission in self._paged(COLUMNS, to_submission, filters):
            if submission is not None:
                yield submission

    async def _paged(self, columns: str, convert: Callable[[Any], T], filters: HistoryFilter) -> AsyncIterator[T]:
        """The converted row of each task that matches, oldest first. `columns` must include `id`."""
        where, values = _where(filters)
        sql = (
            f"SELECT {columns} FROM tasks {where} {'AND' if where else 'WHERE'} id > :after"  # noqa: S608
            f" ORDER BY id LIMIT {_PAGE}"
        )
        after = -1

        def read(connection: sqlite3.Connection) -> Rows[tuple[int, T]]:
            return [(row["id"], convert(row)) for row in connection.execute(sql, values | {"after": after})]

        while True:
            page = await self._reader.run(read)
            for _, made in page:
                yield made
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    async def acts(self, *, since: float | None = None, until: float | None = None) -> Rows[ActRow]:
        """Operator actions: policy switches before `until`, priority changes between both, oldest first."""
        since, until = -math.inf if since is None else since, math.inf if until is None else until
        return await self._rows(ActRow, ACTS, since=since, until=until)

    async def counts(self) -> dict[TaskState, int]:
        """The number of tasks in each state."""
        rows = await self._reader.run(
            lambda connection: connection.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall()
        )
        known = {state.value: state for state in TaskState}
        return dict.fromkeys(TaskState, 0) | {known[state]: count for state, count in rows if state in known}

    async def by_agent(self) -> dict[str, AgentRow]:
        """Statistics of each agent by its plain name: with and without an author it is the same agent."""
        return {row.agent: row for row in await self._rows(AgentRow, _BY_AGENT)}

    async def runs(self, limit: int = 50) -> Rows[RunRow]:
        """The programs that owned this history, newest first."""
        sql = "SELECT id, pid, program, version, core, started_at, ended_at FROM runs ORDER BY id DESC LIMIT :limit"
        return await self._rows(RunRow, sql, limit=_limit(limit))

    async def timings(self, limit: int | None = None) -> Rows[tuple[str | None, int, int, float, float]]:
        """The newest successful attempts: model, tokens in and out, seconds of prefill and of decoding.

        `limit` None: all of them.
        """
        sql = (
            "SELECT model, tokens_in, tokens_out, prefill_s, decode_s FROM attempts WHERE state = 'done'"
            " ORDER BY id DESC LIMIT :limit"
        )
        values = {"limit": _limit(limit)}
        return await self._reader.run(lambda raw: [to_timing(row) for row in raw.execute(sql, values)])

    async def activity(self, since: float, until: float, buckets: int = 60, *, alive: bool = True) -> Activity:
        """Waiting, load and tokens from `since` to `until`, Unix seconds, in equal buckets.

        `alive`: the program that owned the history last is running now and was not killed.
        """
        return await self._slow_reader.run(
            partial(activity.activity, since=since, until=until, buckets=buckets, alive=alive)
        )

    async def replays(self, limit: int = 50) -> Rows[ReplayRow]:
        """Stored replays, newest first, without their tasks."""
        return await self._rows(ReplayRow, replays.NEWEST, limit=_limit(limit))

    async def replay(self, replay_id: int) -> ReplayDetail | None:
        """One stored replay with its tasks; None if there is none with this id."""
        if not 0 <= replay_id <= MAX_ROWS:
            return None
        return await self._reader.run(lambda raw: replays.detail(raw, replay_id))

    async def check(self) -> Rows[str]:
        """Problems of the database, one line each; empty if it is sound. Raises StoreError if there is no database."""
        if not self.path.exists():
            raise StoreError(f"no history at {self.path}")
        try:
            return await self._reader.run(integrity.problems)
        except StoreError as error:
            return [str(error)]

    async def _rows(self, model: type[Model], sql: str, **values: float) -> Rows[Model]:
        return await self._reader.run(
            lambda connection: [to_model(model, dict(row)) for row in connection.execute(sql, values)]
        )


def _limit(rows: int | None) -> int:
    """A number of rows as SQLite takes it; -1, no limit, for None."""
    return -1 if rows is None else max(0, min(rows, MAX_ROWS))


def _where(filters: HistoryFilter) -> tuple[str, dict[str, Any]]:
    """A WHERE clause for the given filters, and its bound values."""
    state, agent, client = filters.get("state"), filters.get("agent"), filters.get("client")
    values = {
        "state": None if state is None else state.value,
        "agent": None if agent is None else sanitise(agent),  # as it is stored
        "client": None if client is None else sanitise(client),
        "since": filters.get("since"),
        "until": filters.get("until"),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return (f"WHERE {' AND '.join(_CLAUSES[name] for name in given)}" if given else ""), given


def _search_sql(search: Search) -> tuple[str, dict[str, Any]]:
    """The SQL of a search, and its bound values except `limit`."""
    values: dict[str, Any] = {f"part{number}": part for number, part in enumerate(search.parts)}
    clauses = [f"(instr(tasks.prompt, :{name}) OR instr(tasks.result, :{name}))" for name in values]
    source, order = "tasks", "tasks.id DESC"
    if search.expression is not None:
        source, order = "tasks_words JOIN tasks ON tasks.id = tasks_words.rowid", f"tasks_words.rank, {order}"
        clauses.insert(0, "tasks_words MATCH :text")
        values["text"] = search.expression
    columns = ", ".join(f"tasks.{name.strip()}" for name in RECORD_COLUMNS.split(","))
    where = " AND ".join(clauses)
    return f"SELECT {columns} FROM {source} WHERE {where} ORDER BY {order} LIMIT :limit", values  # noqa: S608


def _records(connection: sqlite3.Connection, sql: str, values: Mapping[str, Any]) -> Rows[TaskRecord]:
    return [to_record(row) for row in connection.execute(sql, values)]


def _detail(connection: sqlite3.Connection, task_id: int) -> TaskDetail | None:
    found = connection.execute(
        f"SELECT {RECORD_COLUMNS}, {_DETAIL} FROM tasks WHERE id = ?",  # noqa: S608
        (task_id,),
    ).fetchone()
    if found is None:
        return None
    row = dict(found)
    detail = {name.strip(): row.pop(name.strip()) for name in _DETAIL.split(",")}
    attempts = connection.execute(
        f"SELECT {_ATTEMPT} FROM attempts WHERE task = ? ORDER BY id",  # noqa: S608
        (task_id,),
    )
    changes = connection.execute(
        "SELECT at, priority, previous FROM priority_changes WHERE task = ? ORDER BY id", (task_id,)
    )
    return to_model(
        TaskDetail,
        {
            **detail,
            "options": to_options(detail["options"]),
            "record": to_record(row),
            "attempts": tuple(to_model(AttemptRow, dict(each)) for each in attempts),
            "priority_changes": tuple(to_model(PriorityChangeRow, dict(each)) for each in changes),
        },
    )
