"""Integrity check of a history."""

from __future__ import annotations

import sqlite3

from engine.sanitise import one_line

_MOST = 20
_COPIED_BYTES = 512 * 1024 * 1024


def problems(connection: sqlite3.Connection) -> list[str]:
    """Check the whole database over a read-only connection; one line per problem, at most 20."""
    found = [one_line(str(row[0])) for row in connection.execute(f"PRAGMA quick_check({_MOST})") if row[0] != "ok"]
    found += [
        f"table {row[0]}, row {row[1]} refers to a row of {row[2]} that does not exist"
        for row in connection.execute("PRAGMA foreign_key_check").fetchmany(_MOST)
    ]
    if not found:
        found += _search_problems(connection)
    return found[:_MOST]


def _search_problems(connection: sqlite3.Connection) -> list[str]:
    """Check the search index against the tasks. FTS5's own check is a write, so it runs on a copy."""
    tasks = connection.execute("SELECT count(*) FROM tasks").fetchone()[0]
    indexed = connection.execute("SELECT count(*) FROM tasks_words_docsize").fetchone()[0]
    if tasks != indexed:
        return [f"the search index has {indexed} of {tasks} tasks"]
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    if pages * size > _COPIED_BYTES:
        return []  # too large to copy for a check: comparing the counts has to do
    copy = sqlite3.connect("", isolation_level=None)  # a temporary database: on disk if large, deleted when closed
    try:
        connection.backup(copy)
        copy.execute("INSERT INTO tasks_words (tasks_words, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        return [one_line(f"the search index does not agree with the tasks: {error}")]
    finally:
        copy.close()
    return []
