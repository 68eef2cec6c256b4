"""The workloads to choose from: packaged samples and the user's files, also by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from engine.errors import UsageError
from engine.sanitise import one_line
from engine.workloads import samples
from engine.workloads.compression import SUFFIXES
from engine.workloads.reader import Workload, WorkloadReader, load
from engine.workloads.samples import Sample
from engine.workloads.summary import Summary, summarise

MAX_FILES = 500


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One workload: a packaged sample or a file. `about` is a line for people."""

    name: str
    about: str
    path: Path | None = None
    sample: Sample | None = None

    @property
    def file_name(self) -> str:
        """The name of its file, under which its runs are kept."""
        return self.sample.file if self.sample is not None else self.name

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Give the path; a sample's file may exist only inside the `with`."""
        if self.sample is not None:
            with samples.path_of(self.sample) as path:
                yield path
        elif self.path is not None:
            yield self.path

    def summary(self) -> Summary:
        """Read and summarise it; blocks. Raises UsageError with file, line and reason."""
        with self.file() as path, WorkloadReader(path) as reader:
            return summarise(reader)

    def load(self) -> Workload:
        """Read all of it; blocks. Raises UsageError with file, line and reason."""
        with self.file() as path:
            return load(path)


def packaged() -> list[CatalogueEntry]:
    """Return the packaged samples."""
    return [CatalogueEntry(sample.name, sample.description, sample=sample) for sample in samples.SAMPLES]


def found_in(folder: Path | None) -> list[CatalogueEntry]:
    """Return the workload files in a folder, newest first, at most MAX_FILES; none when it does not exist. Blocks."""
    found: list[tuple[float, CatalogueEntry]] = []
    for path in _files_in(folder) if folder is not None else ():
        try:
            stat = path.stat()
        except OSError:  # deleted meanwhile
            continue
        if not path.name.startswith("."):
            when = datetime.fromtimestamp(stat.st_mtime).astimezone()
            found.append(
                (stat.st_mtime, CatalogueEntry(path.name, f"{when:%Y-%m-%d %H:%M}, {stat.st_size:,} bytes", path))
            )
    newest = sorted(found, key=lambda pair: (-pair[0], pair[1].name))
    return [entry for _, entry in newest[:MAX_FILES]]


def _files_in(folder: Path) -> list[Path]:
    """Return the workload files in a folder, by name; none when it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries if entry.name.endswith(SUFFIXES) and entry.is_file())
    except OSError:
        return []


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
        sample = samples.get(name)
    except UsageError:
        known = ", ".join(each.name for each in samples.SAMPLES)
        shown = one_line(name, 80)
        raise UsageError(f"no workload {shown!r}: no such file here or in {folder}; the samples are {known}") from None
    with samples.path_of(sample) as found:
        yield found


def at_path(text: str) -> CatalogueEntry:
    """Return the file at a typed path. Raises UsageError when there is no file."""
    try:
        path = Path(text).expanduser().absolute()
        exists = path.is_file()
    except (OSError, RuntimeError, ValueError):
        exists = False
    if not exists:
        raise UsageError(f"{one_line(text, 200)}: no such file")
    return CatalogueEntry(path.name, str(path), path)


def recording_name(folder: Path, at: datetime) -> Path:
    """Return the path of a new recording, named by the time; it does not exist yet."""
    stem = f"session-{at:%Y%m%d-%H%M%S}"
    path, count = folder / f"{stem}.jsonl", 1
    while path.exists():
        count += 1
        path = folder / f"{stem}-{count}.jsonl"
    return path
