"""Workloads packaged with the program."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from engine.errors import UsageError
from engine.workloads.compression import create


@dataclass(frozen=True, slots=True)
class Sample:
    """One packaged workload. `licence` is the file beside it, None for the project's own."""

    name: str
    description: str
    file: str
    licence: str | None = None


SAMPLES = (
    Sample("aios-five", "the five tasks of AIOS's concurrent client test, all at once", "aios-five.jsonl"),
    Sample(
        "azure-1000",
        "1,000 chat requests over 216 seconds of Azure's LLM inference trace, 2023 (no text)",
        "azure-1000.jsonl",
        "LICENSE-azure-CC-BY-4.0.txt",
    ),
    Sample(
        "mooncake-200",
        "200 requests with long contexts over 58 seconds of Mooncake's synthetic trace (no text)",
        "mooncake-200.jsonl",
        "LICENSE-mooncake-APACHE-2.0.txt",
    ),
)


def get(name: str) -> Sample:
    """Return the sample called `name`, with or without `.jsonl`. Raises UsageError that lists the samples."""
    plain = name.removesuffix(".jsonl")
    for sample in SAMPLES:
        if sample.name == plain:
            return sample
    raise UsageError(f"no sample {name[:80]!r}: the samples are {', '.join(sample.name for sample in SAMPLES)}")


def path_of(sample: Sample) -> AbstractContextManager[Path]:
    """Give the sample's path; the file may exist only inside the `with`."""
    return as_file(files("engine.workloads").joinpath("sample_files", sample.file))


def copy(sample: Sample, to: Path) -> None:
    """Copy the sample to a path, with its licence beside it. Raises UsageError when it can't be written."""
    folder = files("engine.workloads").joinpath("sample_files")
    for name, target in ((sample.file, to), (sample.licence, to.parent / (sample.licence or ""))):
        if name is not None:
            with folder.joinpath(name).open("rb") as source, create(target) as out:
                shutil.copyfileobj(source, out)
