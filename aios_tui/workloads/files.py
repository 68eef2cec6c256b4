"""Where workloads are: files anywhere, files in the user's folder, and the samples of the package."""

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
    """The file that `name` means: a path, a file of `folder` with or without its suffix, or a sample.

    Raises:
        UsageError: there is no such file and no such sample.
    """
    path = Path(name).expanduser()
    if path.exists() or len(path.parts) > 1 or path.is_absolute():
        if not path.exists():
            raise UsageError(f"no workload file {one_line(name, 200)}")
        if path.is_dir():
            raise UsageError(f"{one_line(name, 200)} is a folder, where a workload file was expected")
        yield path
        return
    for suffix in ("", *SUFFIXES):
        mine = folder / f"{name}{suffix}"
        if mine.is_file():
            yield mine
            return
    try:
        sample = get(name)
    except UsageError:
        known = ", ".join(each.name for each in SAMPLES)
        told = one_line(name, 80)
        raise UsageError(f"no workload {told!r}: no such file here or in {folder}; the samples are {known}") from None
    with path_of(sample) as found:
        yield found


def mine(folder: Path) -> list[Path]:
    """The user's workload files, by name. An absent folder holds none."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries if entry.name.endswith(SUFFIXES) and entry.is_file())
    except OSError:
        return []
