"""What `bench` measured, kept by core and model in one file, and how virtual time is calibrated by it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.benchmark import Level
from engine.errors import UsageError
from engine.replay.service_model import Rates
from engine.validation import reason

MAX_BYTES = 4 << 20
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figures(_Row):
    """The median of what was seen, the lowest and the highest."""

    median: _Seconds
    low: _Seconds
    high: _Seconds


class BenchLevel(_Row):
    """See `engine.benchmark.Level`: seconds, and tokens a second."""

    streams: Annotated[int, Field(ge=1)]
    runs: Annotated[int, Field(ge=1)]
    ttft_s: Figures
    tpot_s: Figures
    stream_tps: Figures
    total_tps: Figures
    prompt_tps: Figures
    at_once: int
    tokens_in: float
    tokens_out: float

    @classmethod
    def of(cls, level: Level) -> BenchLevel:
        return cls.model_validate(level, from_attributes=True)


class BenchResult(_Row):
    """One model on one core. `at`: Unix seconds. `load_s`: None when it could not be measured."""

    at: float
    core: str
    kind: str
    model: str
    version: str = ""
    where: str = ""
    load_s: _Seconds | None = None
    levels: Annotated[tuple[BenchLevel, ...], Field(min_length=1)]

    def level(self, streams: int) -> BenchLevel:
        """What was measured at so many streams; where that was not, at the next fewer, else at the fewest."""
        fewer = [each for each in self.levels if each.streams <= streams]
        return max(fewer, key=lambda each: each.streams) if fewer else min(self.levels, key=lambda each: each.streams)

    def rates(self, streams: int) -> Rates:
        """Rates of one slot when `streams` are busy: prompt tokens over the TTFT, and tokens of a stream, medians."""
        level = self.level(streams)
        return Rates(level.prompt_tps.median, level.stream_tps.median)


class _File(_Row):
    version: Literal[1] = 1
    cores: Mapping[str, Mapping[str, BenchResult]] = Field(default_factory=dict)


def read(path: Path) -> list[BenchResult]:
    """All that is kept, the newest first; nothing when there is no file. Raises UsageError when it can't be read."""
    found = [bench for models in _read(path).cores.values() for bench in models.values()]
    return sorted(found, key=lambda bench: bench.at, reverse=True)


def keep(path: Path, bench: BenchResult) -> None:
    """Put it in place of what was known of that model on that core. Raises UsageError when it can't be written."""
    try:
        cores = {core: dict(models) for core, models in _read(path).cores.items()}
    except UsageError:
        _set_aside(path)
        cores = {}
    cores.setdefault(bench.core, {})[bench.model] = bench
    _write(path, _File(cores=cores).model_dump_json(indent=1) + "\n")


def rates_of(
    benches: Iterable[BenchResult], core: str | None, streams: int
) -> tuple[Rates, dict[str, Rates], list[BenchResult]]:
    """Rates for all, those of each model, and what they are from: the newest of each model, of `core` if that is given.

    The rates for all are those of the newest measurement. Raises UsageError when there is none.
    """
    known = list(benches)
    newest: dict[str, BenchResult] = {}
    for bench in known:
        if core in (None, bench.core):
            newest.setdefault(bench.model, bench)
    if not newest:
        cores = ", ".join(dict.fromkeys(bench.core for bench in known))
        where = f"core {core} was never measured; there are {cores}" if cores else "no core was measured yet"
        raise UsageError(f"{where}: run `aios-tui bench CORE` first")
    used = list(newest.values())
    return used[0].rates(streams), {model: bench.rates(streams) for model, bench in newest.items()}, used


def _read(path: Path) -> _File:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so it is none of ours")
        return _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _File()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        raise UsageError(f"{path}: {reason(error)}; remove it and measure again") from None


def _set_aside(path: Path) -> None:
    """A file that is none of ours, or damaged, is not overwritten."""
    try:
        path.replace(path.with_name(f"{path.name}.bad"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None


def _write(path: Path, text: str) -> None:
    """Replace the file in one step; `mkstemp` makes it readable by its owner alone."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
