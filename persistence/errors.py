"""What went wrong with a database, in one line that says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.sanitise import one_line

# By SQLite's primary result code: the low byte of the extended one.
_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_IOERR: "the disk reports an input/output error: check that it is not full or failing",
    sqlite3.SQLITE_READONLY: "it is read-only: check its permissions",
    sqlite3.SQLITE_BUSY: "another program keeps it locked: close that one",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked: close that one",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: see what `aios-tui doctor` says, and use --db for another",
    sqlite3.SQLITE_NOTADB: "the file is not a history of aios-tui: use --db for another",
    sqlite3.SQLITE_CANTOPEN: "check that it is a file, and its permissions",
    sqlite3.SQLITE_PERM: "permission denied: check its permissions",
    sqlite3.SQLITE_AUTH: "permission denied: check its permissions",
}


# What reading raises, besides SQLite's own errors, when a file is damaged in its schema: names that are no text,
# columns that are not there, values of other kinds.
DAMAGES = (ValueError, TypeError, LookupError)


def reason(error: Exception) -> str:
    """Why, on one line, with SQLite's or the system's own words kept for a report."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        known = _REASONS.get(code & 0xFF) if isinstance(code, int) else None
        told = one_line(f"{error}")
        name = getattr(error, "sqlite_errorname", "")
        return f"{known} ({told}{f', {name}' if name else ''})" if known else told
    if isinstance(error, DAMAGES):
        return f"{_REASONS[sqlite3.SQLITE_CORRUPT]} ({one_line(f'{type(error).__name__}: {error}')})"
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.strerror}{f': {error.filename}' if error.filename else ''}")
    return one_line(str(error) or type(error).__name__)


def line(path: Path, what: str, error: Exception) -> str:
    """`history PATH WHAT: why`, such as `history /h.db can't be written: the disk is full …`."""
    return one_line(f"history {path} {what}: {reason(error)}", 800)
