"""Database errors as one line that says what to do."""

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


DAMAGES = (ValueError, TypeError, LookupError)
"""Errors, besides SQLite's own, that reading raises when a file's schema is damaged: missing columns, wrong types."""


def reason(error: Exception) -> str:
    """The reason on one line, with the original message of SQLite or the system for a bug report."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        known = _REASONS.get(code & 0xFF) if isinstance(code, int) else None
        original = one_line(f"{error}")
        name = getattr(error, "sqlite_errorname", "")
        return f"{known} ({original}{f', {name}' if name else ''})" if known else original
    if isinstance(error, DAMAGES):
        return f"{_REASONS[sqlite3.SQLITE_CORRUPT]} ({one_line(f'{type(error).__name__}: {error}')})"
    if isinstance(error, OSError) and error.strerror:
        return one_line(f"{error.strerror}{f': {error.filename}' if error.filename else ''}")
    return one_line(str(error) or type(error).__name__)


def line(path: Path, failure: str, error: Exception) -> str:
    """`history PATH FAILURE: reason`, such as `history /h.db can't be written: the disk is full …`."""
    return one_line(f"history {path} {failure}: {reason(error)}", 800)
