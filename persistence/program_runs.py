"""When programs had the history, and with how many slots: what is known of it afterwards."""

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
# Runs that may reach into the span, and the start of the next one: only one program has the history at a time.
_RUNS = """
    SELECT id, started_at, ended_at, (SELECT min(n.started_at) FROM runs n WHERE n.id > runs.id)
    FROM runs WHERE started_at < :until AND (ended_at IS NULL OR ended_at > :since) ORDER BY id
"""
_LAST_SIGN = """
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
class Lifecycle:
    """A program had the history from `begin` to `end`, Unix seconds; `slots` different ones ran attempts meanwhile."""

    begin: float
    end: float
    slots: int


def slots_seen(raw: sqlite3.Connection) -> list[str]:
    """The names of all slots that ever ran anything; by the index, without reading the attempts."""
    return [row[0] for row in raw.execute(_SEEN, {"limit": MAX_SLOTS})]


def lives(raw: sqlite3.Connection, since: float, until: float, *, alive: bool) -> list[Lifecycle]:
    """The programs of a span, oldest first; the slots are those of a program's whole time, not only of the span.

    One that was killed is taken to have ended with the last thing that it wrote down. `alive`: the newest was not.
    """
    names = slots_seen(raw)
    found = []
    for run, begin, ended_at, following in raw.execute(_RUNS, {"since": since, "until": until}).fetchall():
        end = ended_at
        if end is None and following is None and alive:
            end = until
        elif end is None:
            end = _last_sign(raw, run, begin, following, names)
        if end <= begin or end <= since:
            continue
        slots = sum(raw.execute(_HAD_SLOT, {"slot": name, "begin": begin, "end": end}).fetchone()[0] for name in names)
        found.append(Lifecycle(begin, min(end, until), slots))
    return found


def _last_sign(raw: sqlite3.Connection, run: int, begin: float, following: float | None, names: list[str]) -> float:
    values = {"run": run, "begin": begin, "limit": following if following is not None else 1e300}
    signs = [begin, raw.execute(_LAST_SIGN, values).fetchone()[0]]
    signs += [raw.execute(_LAST_ATTEMPT, values | {"slot": name}).fetchone()[0] or begin for name in names]
    return float(max(signs))
