"""The files of a history: private modes, the lock of its one owner, and whether the file is still the one opened."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import filelock

from engine.errors import StoreError
from engine.sanitise import one_line


def wal_of(path: Path) -> Path:
    """The write-ahead log that SQLite keeps beside the database `path`."""
    return path.with_name(path.name + "-wal")


def make_private_folder(folder: Path) -> None:
    """Create `folder` and its missing parents, readable by their owner only. Folders that exist are left alone."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Create the empty file `path` with mode 0600. SQLite gives its WAL and shared memory the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the platform lets a folder be opened for that."""
    with contextlib.suppress(OSError):  # Windows can't open folders, and needs no such call
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class OwnerLock:
    """The lock `<database>.lock`, held while a process owns the history. The system frees it when the process dies."""

    def __init__(self, path: Path) -> None:
        self._database = path
        self._path = path.with_name(path.name + ".lock")
        self._lock = filelock.FileLock(str(self._path), timeout=0, mode=0o600, thread_local=False)

    def acquire(self, program: str) -> None:
        """Take the lock and write down who holds it.

        Raises:
            StoreError: another process has it; the line says which.
            OSError: the lock can't be made there.
        """
        try:
            self._lock.acquire()
        except filelock.Timeout:
            self._check_it_is_there()
            raise StoreError(
                f"history {self._database} is in use by {self._holder()}; use --db for another, or stop it"
            ) from None
        with contextlib.suppress(OSError):  # a locked file can't be written by name on Windows: the line names nobody
            self._path.write_text(f"{os.getpid()} {program}\n", encoding="utf-8")

    def _check_it_is_there(self) -> None:
        """Raise OSError where no lock can be made: the library waits then, too, as if one were held."""
        if self._path.exists():
            return
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
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
    """Tells when the database at `path` is no longer the file that was opened.

    Writes into a file that was unlinked or replaced succeed, and vanish with the process. So this is asked before each
    commit. The file is never opened for it: closing a second handle would drop SQLite's own locks on it.
    """

    def __init__(self, path: Path) -> None:
        self._watched = [(each, _identity(each)) for each in (path, wal_of(path)) if each.exists()]

    def check(self) -> None:
        """Raise OSError when a file is gone or another one."""
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
