"""Benchmark results, stored by core and model in one file, and the rates that simulations take from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.benchmark import Level, Measured
from engine.errors import UsageError
from engine.files import file_error, write_private_text
from engine.replay.service_model import Rates
from engine.validation import reason

MAX_BYTES = 4 << 20


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BenchResult(_Row):
    """One model on one core. `at`: Unix seconds. `load_s`: None when it could not be measured."""

    at: float
    core: str
    kind: str
    model: str
    version: str = ""
    where: str = ""
    load_s: Measured | None = None
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]

    def level(self, streams: int) -> Level:
        """Return the level with `streams` streams, else the next fewer, else the fewest."""
        fewer = [each for each in self.levels if each.streams <= streams]
        return max(fewer, key=lambda each: each.streams) if fewer else min(self.levels, key=lambda each: each.streams)

    def rates(self, streams: int) -> Rates:
        """Return the median rates of one slot while `streams` are busy: prompt tokens ÷ TTFT, a stream's tokens."""
        level = self.level(streams)
        return Rates(level.prompt_tps.median, level.stream_tps.median)


class _File(_Row):
    version: Literal[1] = 1
    cores: Mapping[str, Mapping[str, BenchResult]] = Field(default_factory=dict)


def read(path: Path) -> list[BenchResult]:
    """Return all results, newest first; none without a file. Raises UsageError when it can't be read."""
    found = [bench for models in _read(path).cores.values() for bench in models.values()]
    return sorted(found, key=lambda bench: bench.at, reverse=True)


def keep(path: Path, bench: BenchResult) -> None:
    """Replace the stored result of that core and model. Raises UsageError when the file can't be written."""
    try:
        cores = {core: dict(models) for core, models in _read(path).cores.items()}
    except UsageError:
        _set_aside(path)
        cores = {}
    cores.setdefault(bench.core, {})[bench.model] = bench
    write_private_text(path, _File(cores=cores).model_dump_json(indent=1) + "\n")


def newest(benches: Sequence[BenchResult], core: str | None) -> dict[str, BenchResult]:
    """Return the newest result per model, only of `core` if given; the newest of all is first.

    `benches`: newest first. Raises UsageError when there is none.
    """
    found: dict[str, BenchResult] = {}
    for bench in benches:
        if core in (None, bench.core):
            found.setdefault(bench.model, bench)
    if not found:
        cores = ", ".join(dict.fromkeys(bench.core for bench in benches))
        where = f"core {core} has no benchmark; there are {cores}" if cores else "there is no benchmark yet"
        raise UsageError(f"{where}: run `aios-tui bench CORE` first")
    return found


def _read(path: Path) -> _File:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so not a file of benchmark results")
        return _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _File()
    except OSError as error:
        raise UsageError(f"{path}: {file_error(error)}") from None
    except ValidationError as error:
        raise UsageError(f"{path}: {reason(error)}; remove it and run the benchmark again") from None


def _set_aside(path: Path) -> None:
    """Rename a damaged or foreign file, so that it is not overwritten."""
    try:
        path.replace(path.with_name(f"{path.name}.bad"))
    except OSError as error:
        raise UsageError(f"{path}: {file_error(error)}") from None
