"""Stored replays: add, list, read and delete them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from pydantic import Field, field_validator

from engine.sanitise import sanitise
from engine.validation import Strict
from persistence.connection import transaction
from persistence.rows import to_model

_ABOUT = "at, workload, policy, mode, core, note, complete, tasks, metrics"
NEWEST = f"SELECT id, {_ABOUT} FROM replays ORDER BY id DESC LIMIT :limit"  # noqa: S608


class NewReplay(Strict):
    """A replay to store.

    Attributes:
        at: when it ran, Unix seconds. mode: `virtual` or `live`. core: None in virtual time.
        note: how it was made. complete: it ran to its end. tasks: how many the workload has.
        metrics: a run of report.json. columns: the tasks and their times, packed; opaque here.
    """

    at: float
    workload: str
    policy: str
    mode: str
    core: str | None = None
    note: str = ""
    complete: bool = True
    tasks: int
    metrics: dict[str, Any]
    columns: bytes = Field(repr=False)


class ReplayRow(Strict):
    """A stored replay without its tasks. `metrics` is {} if a damaged file made it unreadable."""

    id: int
    at: float
    workload: str
    policy: str
    mode: str
    core: str | None = None
    note: str = ""
    complete: bool = True
    tasks: int = 0
    metrics: dict[str, Any] = Field(default_factory=dict)

    @field_validator("metrics", mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class ReplayDetail(Strict):
    """A stored replay with its packed tasks."""

    row: ReplayRow
    columns: bytes = Field(repr=False)


def add(connection: sqlite3.Connection, replay: NewReplay) -> int:
    """Add the replay in one transaction; returns its id."""
    texts = (sanitise(replay.workload), sanitise(replay.policy), sanitise(replay.mode))
    core = None if replay.core is None else sanitise(replay.core)
    metrics = json.dumps(replay.metrics, allow_nan=False)
    values = (replay.at, *texts, core, sanitise(replay.note), replay.complete, replay.tasks, metrics, replay.columns)
    insert = f"INSERT INTO replays ({_ABOUT}, columns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    with transaction(connection):
        return int(connection.execute(insert, values).lastrowid or 0)


def delete(connection: sqlite3.Connection, replay_id: int) -> bool:
    """Delete a replay; False if there is none with this id. Its pages in the file are reused."""
    return connection.execute("DELETE FROM replays WHERE id = ?", (replay_id,)).rowcount == 1


def detail(connection: sqlite3.Connection, replay_id: int) -> ReplayDetail | None:
    """One replay with its tasks, or None."""
    found = connection.execute(
        f"SELECT id, {_ABOUT}, columns FROM replays WHERE id = ?",  # noqa: S608
        (replay_id,),
    ).fetchone()
    if found is None:
        return None
    row = dict(found)
    columns = row.pop("columns")
    return ReplayDetail(row=to_model(ReplayRow, row), columns=columns if isinstance(columns, bytes) else b"")
