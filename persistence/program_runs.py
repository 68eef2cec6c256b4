"""The program runs of a span of time: when each owned the history, and how many slots it had."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

MAX_SLOTS = 4_096

_SEEN = """
    WITH RECURSIVE seen (slot) AS (
        SELECT min(slot) FROM attempts
        UNION ALL SELECT (SELECT min(slot) FROM attempts WHERE slot > seen.slot) FROM seen WHERE seen.slot IS NOT NULL
    ) SELECT slot FROM seen WHERE slot IS NOT NULL LIMIT :limit
"""
# Runs that may overlap the span, each with the start of the next one: one program owns the history at a time.
_RUNS = """
    SELECT id, started_at, ended_at, (SELECT min(n.started_at) FROM runs n WHERE n.id > runs.id)
    FROM runs WHERE started_at < :until AND (ended_at IS NULL OR ended_at > :since) ORDER BY id
"""
_LAST_RECORD = """
    SELECT max(coalesce((SELECT max(at) FROM policy_switches WHERE run = :run), 0),
        coalesce((SELECT max(ended_at) FROM tasks WHERE ended_at >= :begin AND ended_at < :limit), 0),
        coalesce((SELECT max(started_at) FROM attempts INDEXED BY attempts_executing WHERE state = 'executing'
            AND started_at >= :begin AND started_at < :limit), 0))
"""
_LAST_ATTEMPT = "SELECT max(ended_at) FROM attempts WHERE slot = :slot AND ended_at >= :begin AND ended_at < :limit"
_HAD_SLOT = """
    SELECT EXISTS (SELECT 1 FROM attempts WHERE slot = :slot AND ended_at > :begin AND ended_at <= :end
            AND started_at >= :begin)
        OR EXISTS (SELECT 1 FROM attempts INDEXED BY attempts_executing WHERE state = 'executing' AND slot = :slot
            AND started_at >= :begin AND started_at <= :end)
"""


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """A program owned the history from `begin` to `end`, Unix seconds; attempts ran on `slots` different slots."""

    begin: float
    end: float
    slots: int


def slots_seen(raw: sqlite3.Connection) -> list[str]:
    """The names of all slots that ever ran an attempt; read from the index, without reading the attempts."""
    return [row[0] for row in raw.execute(_SEEN, {"limit": MAX_SLOTS})]


def program_runs(raw: sqlite3.Connection, since: float, until: float, *, alive: bool) -> list[ProgramRun]:
    """The program runs of a span, oldest first. Slots are those of the whole run, not only of the span.

    A program that was killed is assumed to have ended with its last record. `alive`: the newest one was not killed.
    """
    names = slots_seen(raw)
    found = []
    for run, begin, ended_at, following in raw.execute(_RUNS, {"since": since, "until": until}).fetchall():
        end = ended_at
        if end is None and following is None and alive:
            end = until
        elif end is None:
            end = _last_record(raw, run, begin, following, names)
        if end <= begin or end <= since:
            continue
        slots = sum(raw.execute(_HAD_SLOT, {"slot": name, "begin": begin, "end": end}).fetchone()[0] for name in names)
        found.append(ProgramRun(begin, min(end, until), slots))
    return found


def _last_record(raw: sqlite3.Connection, run: int, begin: float, following: float | None, names: list[str]) -> float:
    values = {"run": run, "begin": begin, "limit": following if following is not None else 1e300}
    times = [begin, raw.execute(_LAST_RECORD, values).fetchone()[0]]
    times += [raw.execute(_LAST_ATTEMPT, values | {"slot": name}).fetchone()[0] or begin for name in names]
    return float(max(times))
