"""Write files so that a reader sees the old content or the new content, never a part.

The data goes into a temporary file in the same folder, is synced to disk and renamed over the target. A rename within
one file system is atomic (POSIX rename(2)); the sync before it keeps a power cut from leaving an empty file behind the
new name. All files are readable by their owner alone, because most of them hold prompts.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from engine.errors import UsageError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def make_private_folder(folder: Path) -> None:
    """Create `folder` and its missing parents with mode 0700. Folders that exist keep their mode.

    Raises:
        OSError: a folder can't be created.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the platform lets a folder be opened for that."""
    with contextlib.suppress(OSError):  # Windows can't open folders, and needs no such call
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def atomic_writer(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that becomes `path` when the body ends without an exception.

    The file has mode 0600. When the body raises, `path` is left as it was and the temporary file is removed.

    Args:
        path: the target; its folder must exist.
        overwrite: replace an existing file; otherwise an existing file is an error, also one that appears meanwhile.

    Raises:
        FileExistsError: `path` exists and `overwrite` is False.
        OSError: the file can't be written.
    """
    if not overwrite and path.exists():
        raise FileExistsError(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # unlike a rename, a link never replaces
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_private_text(path: Path, text: str, *, overwrite: bool = True) -> None:
    """Write `text` as UTF-8 in one step, readable by its owner alone; missing folders are created.

    Raises:
        FileExistsError: `path` exists and `overwrite` is False.
        UsageError: the file can't be written; one line that names it.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; give the name of a file")
        make_private_folder(path.parent)
        with atomic_writer(path, overwrite=overwrite) as file:
            file.write(text.encode("utf-8", errors="replace"))
    except FileExistsError:
        raise
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be written: {file_error(error)}") from None


def file_error(error: OSError | ValueError) -> str:
    """The system's own words for a failed file operation, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
