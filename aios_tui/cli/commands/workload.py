"""`aios-tui workload …`: create, import, inspect and edit workload files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.command_group import CommandGroup
from aios_tui.cli.options import json_option, load_settings, settings_options, with_options
from aios_tui.cli.output import print_json, print_line, print_note
from engine.errors import UsageError
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.workloads.assignment import Assignment
    from engine.workloads.format import Item, WorkloadHeader
    from engine.workloads.reader import WorkloadReader


_output_options = with_options(
    click.option(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="The new file; .gz or .zst compresses it."
    ),
    click.option("--force", is_flag=True, help="Replace an existing file."),
)
_seed_option = click.option(
    "--seed", type=int, default=0, metavar="N", help="Random seed, 0 by default; the same seed makes the same file."
)
_workload_argument = click.argument("workload", metavar="WORKLOAD")


@click.group(cls=CommandGroup)
@settings_options()
def workload() -> None:
    """Create, import, inspect and edit workload files."""


@workload.command("import")
@click.argument("file", type=Path, metavar="FILE")
@_output_options
@click.option(
    "--format", "format_", default="auto", metavar="FORMAT", help="auto (the default), azure, mooncake, burstgpt, …"
)
@click.option("--priorities", metavar="P:W,…", help="Weights; 1:0.2,5:0.5,8:0.3 by default, none to leave them.")
@click.option("--agents", metavar="A:W,…", help="Weights; chat by default, none to leave them.")
@click.option("--clients", metavar="C:W,…", help="Weights; four invented ones by default, none to leave them.")
@click.option("--interval", type=float, default=0.0, metavar="S", help="Seconds between prompts without times.")
@_seed_option
@settings_options()
def import_(*, file: Path, output: Path, force: bool, format_: str, interval: float, seed: int, **weights: Any) -> None:
    """Import a trace or a list of prompts.

    Formats: Azure and BurstGPT (CSV), Mooncake (JSONL), prompts (text, JSONL). Fields that FILE lacks are drawn from
    the weights and the seed; the header of the new file lists them.
    """
    from engine.workloads.importers import FORMATS, detect, open_import

    if format_ != "auto" and format_ not in FORMATS:
        raise UsageError(f"--format {one_line(format_, 40)!r} is unknown; known: auto, {', '.join(FORMATS)}")
    if not 0 <= interval < math.inf:
        raise UsageError("--interval is a number of seconds, 0 or more")
    name = detect(file) if format_ == "auto" else format_
    assignment = _assignment(seed, weights, FORMATS[name].assigns)
    with open_import(file, name, assignment, interval=interval) as found:
        _save(output, force, found.header, found.items)


def _assignment(seed: int, given: dict[str, str | None], assigns: bool) -> Assignment | None:
    """Return the weights to draw from. Fields not given are drawn if the format `assigns`, and else left alone."""
    from engine.workloads.assignment import Assignment, Weights, parse_weights

    explicit = {name: text for name, text in given.items() if text is not None}
    weights: dict[str, Weights] = {} if assigns else {"priorities": (), "agents": (), "clients": ()}
    weights |= {name: () if text == "none" else parse_weights(text, name) for name, text in explicit.items()}
    return Assignment(seed=seed, **weights) if assigns or explicit else None


@workload.command()
@_output_options
@click.option("--tasks", "count", type=click.IntRange(min=0), required=True, metavar="N", help="Number of tasks.")
@click.option("--rate", type=float, required=True, metavar="R", help="Mean arrivals per second.")
@click.option("--burstiness", type=float, default=1.0, metavar="CV", help="Of the gaps: 1 Poisson, 0 even, >1 bursts.")
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="KEY=VALUE …",
    help="A class of tasks: share, priority, agent, client, model, input, output, service.",
)
@_seed_option
@settings_options()
def generate(*, output: Path, force: bool, classes: tuple[str, ...], **given: Any) -> None:
    """Create a synthetic workload.

    Poisson or bursty arrivals; classes of tasks with token counts or service times.

    \b
    --class "share=0.2 priority=1 service=exp:1"
    --class "share=0.8 priority=8 input=lognormal:400,1 output=uniform:10,300 agent=chat client=ada"

    Distributions: const:X, exp:MEAN, uniform:LOW,HIGH, gamma:MEAN,CV, lognormal:MEAN,CV.
    """
    from aios_tui.cli.task_classes import parse_class
    from engine.workloads.generate import TaskClass
    from engine.workloads.generate import generate as generate_items

    parsed = [parse_class(text) for text in classes] or [TaskClass()]
    header, items = generate_items(**given, classes=parsed)
    _save(output, force, header, items)


@workload.command()
@_workload_argument
@json_option("Print one JSON object.")
@settings_options("config")
def show(workload: str, as_json: bool) -> None:
    """Summarise a workload and plot its arrivals. Reads all of it, so an invalid line is found."""
    from aios_tui.cli.workload_summary import summary_lines, summary_record
    from engine.workloads.summary import summarise

    with _open_readers([workload]) as (reader,):
        summary = summarise(reader)
        if as_json:
            print_json(summary_record(reader.path.name, summary))
        else:
            for line in summary_lines(reader.path.name, summary):
                print_line(line)


@workload.command()
@_workload_argument
@_output_options
@click.option("--from", "start", type=float, default=0.0, metavar="S", help="Start at second S.")
@click.option("--to", "end", type=float, default=math.inf, metavar="S", help="End before second S.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N tasks.")
@settings_options("config")
def cut(*, workload: str, output: Path, force: bool, start: float, end: float, limit: int | None) -> None:
    """Copy a part of a workload; its times begin at 0 again."""
    from engine.workloads.reader import in_order
    from engine.workloads.transform import cut as cut_items

    with _open_readers([workload]) as (reader,):
        items = cut_items(in_order(reader), start=start, end=end, limit=limit)
        header = reader.header.noting(shaped=f"cut from {start:g} s to {end:g} s")
        _save(output, force, header, items)


@workload.command()
@_workload_argument
@click.argument("speed", type=float, metavar="SPEED")
@_output_options
@settings_options("config")
def scale(workload: str, speed: float, output: Path, force: bool) -> None:
    """Copy a workload so that its tasks arrive SPEED times as fast."""
    from engine.workloads.transform import scale as scale_items

    with _open_readers([workload]) as (reader,):
        items = scale_items(reader, speed)
        _save(output, force, reader.header.noting(shaped=f"{speed:g} times as fast"), items)


@workload.command()
@click.argument("workloads", metavar="WORKLOAD…", nargs=-1, required=True)
@_output_options
@settings_options("config")
def merge(workloads: tuple[str, ...], output: Path, force: bool) -> None:
    """Merge workloads by arrival time; task ids become 1:t1, 2:t1, …"""
    from engine.workloads.transform import merge as merge_readers

    with _open_readers(workloads) as readers:
        header, items = merge_readers(readers)
        _save(output, force, header, items)


@workload.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option("-o", "--output", type=Path, metavar="FILE", help="Copy the sample NAME to FILE.")
@settings_options()
def samples(name: str | None, output: Path | None) -> None:
    """List the sample workloads of the program, or copy one."""
    from engine.workloads.samples import SAMPLES, copy, get

    if output is None:
        for sample in SAMPLES if name is None else [get(name)]:
            print_line(f"{sample.name:<14} {sample.description}")
        return
    if name is None:
        raise click.UsageError("which sample? give its NAME")
    _check_free(output, force=False)
    copy(get(name), output)
    print_note(f"written to {output}")


@contextmanager
def _open_readers(names: Iterable[str]) -> Iterator[list[WorkloadReader]]:
    """Provide readers of the named workloads. Raises UsageError."""
    from aios_tui.workloads.catalogue import find_workload
    from engine.workloads.reader import WorkloadReader

    folder = load_settings().settings.workloads_folder
    with ExitStack() as stack:
        paths = [stack.enter_context(find_workload(name, folder)) for name in names]
        yield [stack.enter_context(WorkloadReader(path)) for path in paths]


def _save(output: Path, force: bool, header: WorkloadHeader, items: Iterable[Item]) -> None:
    """Write the new file, and print its number of tasks. Raises UsageError."""
    from engine.workloads.writer import save

    _check_free(output, force)
    count = save(output, header, items)
    print_note(f"{plural(count, 'task')} written to {output}")


def _check_free(path: Path, force: bool) -> None:
    """Raise UsageError when a file exists and must not be replaced."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists already; --force replaces it")
