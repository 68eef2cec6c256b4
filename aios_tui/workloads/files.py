"""Find workload files: by path, in the user's folder, or among the packaged samples."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import UsageError
from engine.sanitise import one_line
from engine.workloads.compression import SUFFIXES
from engine.workloads.samples import SAMPLES, get, path_of


@contextmanager
def find_workload(name: str, folder: Path) -> Iterator[Path]:
    """Give the file called `name`: a path, a file in `folder` with or without its suffix, or a sample.

    Raises:
        UsageError: neither a file nor a sample has that name.
    """
    path = Path(name).expanduser()
    if path.exists() or len(path.parts) > 1 or path.is_absolute():
        if not path.exists():
            raise UsageError(f"no workload file {one_line(name, 200)}")
        if path.is_dir():
            raise UsageError(f"{one_line(name, 200)} is a folder, not a workload file")
        yield path
        return
    for suffix in ("", *SUFFIXES):
        candidate = folder / f"{name}{suffix}"
        if candidate.is_file():
            yield candidate
            return
    try:
        sample = get(name)
    except UsageError:
        known = ", ".join(each.name for each in SAMPLES)
        shown = one_line(name, 80)
        raise UsageError(f"no workload {shown!r}: no such file here or in {folder}; the samples are {known}") from None
    with path_of(sample) as found:
        yield found


def files_in(folder: Path) -> list[Path]:
    """Return the workload files in a folder, by name; none when it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries if entry.name.endswith(SUFFIXES) and entry.is_file())
    except OSError:
        return []
