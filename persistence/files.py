"""The files of a history: private modes, the lock of its one owner, and a check that the file was not replaced."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import filelock

from engine.errors import StoreError
from engine.files import PRIVATE_FILE
from engine.sanitise import one_line


def wal_of(path: Path) -> Path:
    """The path of the write-ahead log that SQLite keeps beside the database `path`."""
    return path.with_name(path.name + "-wal")


def make_private_file(path: Path) -> None:
    """Create the empty file `path` with mode 0600. SQLite gives its WAL and shared memory the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE))


class OwnerLock:
    """The lock file `<database>.lock`, held while a process owns the history. It is released when the process dies."""

    def __init__(self, path: Path) -> None:
        self._database = path
        self._path = path.with_name(path.name + ".lock")
        self._lock = filelock.FileLock(str(self._path), timeout=0, mode=PRIVATE_FILE, thread_local=False)

    def acquire(self, program: str) -> None:
        """Take the lock and write this process's id and `program` into it.

        Raises:
            StoreError: another process holds it; the line names that process.
            OSError: no lock file can be made there.
        """
        try:
            self._lock.acquire()
        except filelock.Timeout:
            self._check_exists()
            raise StoreError(
                f"history {self._database} is in use by {self._holder()}; use --db for another, or stop it"
            ) from None
        with contextlib.suppress(OSError):  # Windows can't write a locked file by name; then the line names no process
            self._path.write_text(f"{os.getpid()} {program}\n", encoding="utf-8")

    def _check_exists(self) -> None:
        """Raise OSError if no lock file can be made: the library times out then, too, as if the lock were held."""
        if self._path.exists():
            return
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, PRIVATE_FILE))
        except OSError as error:
            raise OSError(error.errno, "no file can be made there", str(self._path.parent)) from None

    def _holder(self) -> str:
        try:
            pid, _, program = one_line(self._path.read_text(encoding="utf-8", errors="replace"), 100).partition(" ")
        except OSError:
            return "another process"
        if not pid.isdigit():
            return "another process"
        return f"process {pid} ({program})" if program else f"process {pid}"

    def release(self) -> None:
        self._lock.release()


class SameFile:
    """Detects that the database at `path` is no longer the file that was opened.

    Writes to a file that was unlinked or replaced succeed and are lost when the process ends, so this is checked before
    each commit. It must not open the file: closing a second handle would drop SQLite's own locks on it (POSIX).
    """

    def __init__(self, path: Path) -> None:
        self._watched = [(each, _identity(each)) for each in (path, wal_of(path)) if each.exists()]

    def check(self) -> None:
        """Raise OSError if a file was removed or replaced."""
        for path, identity in self._watched:
            try:
                now = _identity(path)
            except FileNotFoundError:
                raise OSError(f"{path} was removed while in use: put it back, or start again") from None
            if now != identity:
                raise OSError(f"{path} was replaced while in use: put the old file back, or start again")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
