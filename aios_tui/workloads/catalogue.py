"""The workloads an operator can choose from: those that come with the package, and files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aios_tui.workloads.calibration import ASSUMED, Calibration, rates_words
from aios_tui.workloads.files import mine
from engine.errors import UsageError
from engine.replay.inputs import build_input
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import Run
from engine.sanitise import one_line
from engine.scheduling import parse_policy
from engine.workloads import samples
from engine.workloads.reader import Workload, WorkloadReader, load
from engine.workloads.samples import Sample
from engine.workloads.summary import Summary, summarise

MAX_FILES = 500
POLICIES = ("fifo", "npps", "npps:ageing=60")
"""What a workload is simulated under."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One workload on the shelf: a packaged sample, or a file. `about` is a line for people."""

    name: str
    about: str
    path: Path | None = None
    sample: Sample | None = None

    @property
    def file_name(self) -> str:
        """What its file is called, under which its runs are kept."""
        return self.sample.file if self.sample is not None else self.name

    @contextmanager
    def file(self) -> Iterator[Path]:
        """The file, which for a sample may exist only within the `with`."""
        if self.sample is not None:
            with samples.path_of(self.sample) as path:
                yield path
        elif self.path is not None:
            yield self.path

    def summary(self) -> Summary:
        """Read it and sum it up; blocks. Raises UsageError: file, line and reason."""
        with self.file() as path, WorkloadReader(path) as reader:
            return summarise(reader)

    def load(self) -> Workload:
        """Read all of it; blocks. Raises UsageError: file, line and reason."""
        with self.file() as path:
            return load(path)


def shipped() -> list[CatalogueEntry]:
    """The packaged samples."""
    return [CatalogueEntry(sample.name, sample.description, sample=sample) for sample in samples.SAMPLES]


def found_in(folder: Path | None) -> list[CatalogueEntry]:
    """The workload files in a folder, the newest first; nothing when it isn't there. Blocks."""
    found: list[tuple[float, CatalogueEntry]] = []
    for path in mine(folder) if folder is not None else ():
        try:
            stat = path.stat()
        except OSError:  # it has just gone
            continue
        if not path.name.startswith("."):
            when = datetime.fromtimestamp(stat.st_mtime).astimezone()
            found.append(
                (stat.st_mtime, CatalogueEntry(path.name, f"{when:%Y-%m-%d %H:%M}, {stat.st_size:,} bytes", path))
            )
    newest = sorted(found, key=lambda pair: (-pair[0], pair[1].name))
    return [entry for _, entry in newest[:MAX_FILES]]


def typed(given: str) -> CatalogueEntry:
    """The file at a path as it was written. Raises UsageError when there is no file."""
    try:
        path = Path(given).expanduser().absolute()
        there = path.is_file()
    except (OSError, RuntimeError, ValueError):
        there = False
    if not there:
        raise UsageError(f"{one_line(given, 200)}: there is no such file")
    return CatalogueEntry(path.name, str(path), path)


def recording_name(folder: Path, at: datetime) -> Path:
    """A new file's path, by the time; one that is there already is left alone."""
    stem = f"session-{at:%Y%m%d-%H%M%S}"
    path, count = folder / f"{stem}.jsonl", 1
    while path.exists():
        count += 1
        path = folder / f"{stem}-{count}.jsonl"
    return path


@dataclass(frozen=True, slots=True)
class SimulationSetup:
    """What a simulation goes by: slots, service times, and how many rounds an agent takes (None: not known)."""

    slots: int = 1
    measured: Calibration = ASSUMED
    rounds_of: Callable[[str], int | None] | None = None

    @property
    def words(self) -> str:
        """That in a line."""
        slots = "1 slot" if self.slots == 1 else f"{self.slots} slots"
        return f"{slots}, {rates_words(self.measured.service.rates)} ({self.measured.words})"


def simulated(entry: CatalogueEntry, bench: SimulationSetup) -> list[Run]:
    """Run a workload in virtual time under each of POLICIES; blocks. Its own switches of policy are left out;
    what else was done on the way is done.

    Raises:
        UsageError: the file can't be read.
    """
    with entry.file() as path, WorkloadReader(path) as reader:
        made = build_input(reader, reader.header.defaults, bench.measured.service, bench.rounds_of)
    runs = [
        simulate(made.tasks, parse_policy(policy), Capacity(slots=bench.slots), actions=made.actions)
        for policy in POLICIES
    ]
    for run in runs:
        guessed = f", {made.estimated:,} of {len(made.tasks):,} tasks estimated" if made.estimated else ""
        run.note = f"{bench.words}{guessed}"
    return runs
