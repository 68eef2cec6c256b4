"""Import every foreign format the same way: detected by the first line, read as a stream, errors name file and line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from engine.errors import UsageError
from engine.validation import reason
from engine.workloads.assignment import Assignment
from engine.workloads.compression import open_lines
from engine.workloads.format import TaskRow, WorkloadHeader
from engine.workloads.importers import prompts, traces
from engine.workloads.importers.lines import Lines


@dataclass(frozen=True, slots=True)
class Format:
    """A foreign format. `notes`: for the header's origin."""

    title: str
    rows: Callable[[Lines], Iterator[traces.Row]]
    assigns: bool = True
    notes: tuple[tuple[str, str], ...] = ()


FORMATS = {
    "azure": Format(
        "Azure LLM inference trace",
        traces.azure,
        notes=(("source", "Azure/AzurePublicDataset, AzureLLMInferenceDataset"), ("licence", "CC-BY-4.0, © Microsoft")),
    ),
    "mooncake": Format(
        "Mooncake request trace",
        traces.mooncake,
        notes=(("source", "kvcache-ai/Mooncake"), ("licence", "Apache-2.0")),
    ),
    "burstgpt": Format(
        "BurstGPT trace",
        traces.burstgpt,
        notes=(("source", "HPMLL/BurstGPT"),),
    ),
    "jsonl": Format("prompts, JSONL", prompts.jsonl, assigns=False),
    "text": Format("prompts, one a line", prompts.text, assigns=False),
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A foreign file, open as a workload that `save` can write. `format` is the one it was read as."""

    format: str
    header: WorkloadHeader
    items: Iterator[TaskRow]


def detect(path: Path) -> str:
    """Return the name in FORMATS of the file's format, by its first line that is not blank.

    Raises:
        UsageError: it can't be read, is empty, or is a workload already.
    """
    with open_lines(path) as file:
        lines = Lines(path, file)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise UsageError(f"{path}: is empty")
        if first.lstrip().startswith("{"):
            row = traces.json_object(first, lines)
            if row.get("kind") == "workload":
                raise UsageError(f"{path}: is a workload already, so there is nothing to import")
            return "mooncake" if all(key in row for key in traces.MOONCAKE) else "jsonl"
        try:
            columns = {name.strip() for name in next(csv.reader([first]), [])}
        except csv.Error:
            return "text"
        for name, needed in (("azure", traces.AZURE), ("burstgpt", traces.BURSTGPT)):
            if columns.issuperset(needed):
                return name
        return "text"


@contextmanager
def open_import(
    path: Path, format: str = "auto", assignment: Assignment | None = None, *, interval: float = 0.0
) -> Iterator[Imported]:
    """Open a foreign file as a workload, to be saved or replayed while it is open.

    `assignment` fills fields that rows lack; None means the default Assignment for traces, and nothing for prompts.
    Prompts without a time arrive `interval` seconds apart.

    Raises:
        UsageError: here or while the items are read; file, line and reason are named.
    """
    name = detect(path) if format == "auto" else format
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}: choose one of auto, {', '.join(FORMATS)}")
    kind = FORMATS[name]
    if assignment is None and kind.assigns:
        assignment = Assignment()
    notes: dict[str, str | float | None] = {"what": kind.title, "file": path.name, **dict(kind.notes)}
    if assignment is not None:
        notes["assigned"] = f"where the rows lack it: {assignment.describe()}"
    header = WorkloadHeader(seed=assignment.seed if assignment else None).noting(**notes)
    with open_lines(path) as file:
        yield Imported(name, header, _items(Lines(path, file), kind, assignment, interval))


def _items(lines: Lines, kind: Format, assignment: Assignment | None, interval: float) -> Iterator[TaskRow]:
    draws = assignment.draws() if assignment else None
    for number, row in enumerate(kind.rows(lines)):
        given = {key: value for key, value in row.items() if value is not None}
        drawn = next(draws) if draws else {}
        try:
            yield TaskRow.model_validate({"id": f"t{number + 1}", "at": number * interval, **drawn, **given})
        except ValidationError as error:
            raise lines.refused(reason(error)) from None
