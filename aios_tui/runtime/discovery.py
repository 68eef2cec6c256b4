"""Find the console or service that has a history: by a file beside the database, and a Unix socket.

The file, `DATABASE.service.json`, holds `{"version": 1, "pid", "socket", "url"}`; the last two may be null. The socket
is in a folder that only its owner can enter: `$XDG_RUNTIME_DIR/aios-tui`, or one in the temporary folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import sys
import tempfile
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import StoreError
from engine.files import atomic_writer

MAX_SOCKET_PATH = 100
"""Bytes; the smallest limit of a system is 104."""


class Announcement(BaseModel):
    """Address of a running console or service."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int = 1
    pid: int
    socket: Path | None = None
    url: str | None = None


def announcement_file(database: Path) -> Path:
    """Return the path of the announcement for this history."""
    return database.with_name(database.name + ".service.json")


def own_socket(database: Path) -> socket.socket | None:
    """Return a listening socket that only its owner can open; None on platforms without Unix sockets.

    The caller holds the history's lock, so an existing socket was left by a process that died.

    Raises:
        StoreError: others can enter the socket's folder, or the socket can't be created; one line.
    """
    if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
        return None
    path = socket_path(database)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_private(path.parent)
        path.unlink(missing_ok=True)
        made.bind(str(path))
        path.chmod(0o600)
        made.listen(256)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise StoreError(f"control socket {path}: {error.strerror or error}") from None
    except StoreError:
        made.close()
        raise
    return made


def socket_path(database: Path) -> Path:
    """Return the path of this history's socket. Its name is a digest, as paths of sockets are limited in length."""
    name = f"{hashlib.sha256(os.fsencode(database.resolve())).hexdigest()[:16]}.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute() and len(os.fsencode(runtime)) + len(name) + 10 <= MAX_SOCKET_PATH:
        return Path(runtime) / "aios-tui" / name
    return Path(tempfile.gettempdir()) / f"aios-tui-{_user()}" / name


def announce(database: Path, url: str | None) -> None:
    """Write the announcement of this process. Raises OSError when it can't be written."""
    path = socket_path(database)
    announcement = Announcement(pid=os.getpid(), socket=path if path.exists() else None, url=url)
    with atomic_writer(announcement_file(database)) as file:
        file.write(announcement.model_dump_json().encode())


def withdraw(database: Path) -> None:
    """Remove the announcement and the socket. Never fails: the pid in a stale file shows that it is stale."""
    with contextlib.suppress(OSError):
        announcement_file(database).unlink(missing_ok=True)
        socket_path(database).unlink(missing_ok=True)


def look_up(database: Path) -> Announcement | None:
    """Return the announcement of the process that has this history, None when there is none."""
    try:
        found = Announcement.model_validate_json(announcement_file(database).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if psutil.pid_exists(found.pid) else None


def _make_private(folder: Path) -> None:
    """Create `folder` with mode 0700. Raises StoreError when an existing one is open to or owned by others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _user() or stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreError(f"control socket: {folder} is not a folder for you alone; remove it, or set XDG_RUNTIME_DIR")


def _user() -> int:
    return os.getuid() if sys.platform != "win32" else 0
