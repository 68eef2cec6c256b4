"""How commands find the console or service that has a history: a file beside the database, and a Unix socket.

The file, `DATABASE.service.json`, says `{"version": 1, "pid", "socket", "url"}`; the last two may be null. The socket
is in a folder that only its owner can enter: `$XDG_RUNTIME_DIR/aios-tui`, or one in the folder for temporary files.
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

MAX_SOCKET_PATH = 100  # bytes; the systems allow from 104


class Announcement(BaseModel):
    """Where a running console or service answers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: int = 1
    pid: int
    socket: Path | None = None
    url: str | None = None


def announcement_file(database: Path) -> Path:
    return database.with_name(database.name + ".service.json")


def own_socket(database: Path) -> socket.socket | None:
    """A listening socket that only we can open; None where the platform has none.

    Whoever calls has the history, so a socket that is there already was left by a process that died.

    Raises:
        StoreError: the folder for it is not ours alone, or it can't be made. One line.
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
    """Where the socket for this history is. The name is a digest: paths of sockets are short."""
    name = f"{hashlib.sha256(os.fsencode(database.resolve())).hexdigest()[:16]}.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute() and len(os.fsencode(runtime)) + len(name) + 10 <= MAX_SOCKET_PATH:
        return Path(runtime) / "aios-tui" / name
    return Path(tempfile.gettempdir()) / f"aios-tui-{_user()}" / name


def announce(database: Path, url: str | None) -> None:
    """Tell the commands where we are."""
    path = socket_path(database)
    told = Announcement(pid=os.getpid(), socket=path if path.exists() else None, url=url)
    target = announcement_file(database)
    new = target.with_name(target.name + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(told.model_dump_json())
    new.replace(target)


def withdraw(database: Path) -> None:
    """Take back what `announce` said, and the socket. Never fails: a stale file is told from a true one by its pid."""
    with contextlib.suppress(OSError):
        announcement_file(database).unlink(missing_ok=True)
        socket_path(database).unlink(missing_ok=True)


def look_up(database: Path) -> Announcement | None:
    """Where the process that has this history answers, None when there is none."""
    try:
        told = Announcement.model_validate_json(announcement_file(database).read_bytes())
    except (OSError, ValidationError):
        return None
    return told if psutil.pid_exists(told.pid) else None


def _make_private(folder: Path) -> None:
    """Make `folder`, for us alone. Raises StoreError when it is there and someone else could have made or enter it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != _user() or stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreError(f"control socket: {folder} is not a folder for you alone; remove it, or set XDG_RUNTIME_DIR")


def _user() -> int:
    return os.getuid() if sys.platform != "win32" else 0
