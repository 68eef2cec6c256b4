"""`aios-tui workload …`: make, import, look at and shape workload files."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.command_group import CommandGroup
from aios_tui.cli.exit_codes import WELL
from aios_tui.cli.options import common, settings_of
from aios_tui.cli.output import Output
from engine.errors import UsageError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.workloads.assignment import Assignment
    from engine.workloads.format import Item, WorkloadHeader


def _output(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--force", is_flag=True, help="Write over a file that is there.")(command)
    return click.option(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="The new file; .gz and .zst compress it."
    )(command)


_seed = click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="The same seed, the same file."
)


@click.group(cls=CommandGroup)
@common
def workload() -> None:
    """Make, import, look at and shape workload files."""


@workload.command("import")
@click.argument("file", type=Path, metavar="FILE")
@_output
@click.option("--format", "format_", default="auto", metavar="FORMAT", help="auto, azure, mooncake, burstgpt, …")
@click.option("--priorities", metavar="P:W,…", help="Weights; 1:0.2,5:0.5,8:0.3 if not given, none leaves them.")
@click.option("--agents", metavar="A:W,…", help="Weights; chat if not given, none leaves them.")
@click.option("--clients", metavar="C:W,…", help="Weights; four made-up ones if not given, none leaves them.")
@click.option("--interval", type=float, default=0.0, metavar="S", help="Seconds between prompts that have no times.")
@_seed
@common
@click.pass_context
def import_(
    ctx: click.Context,
    /,
    *,
    file: Path,
    output: Path,
    force: bool,
    format_: str,
    interval: float,
    seed: int,
    **given: Any,
) -> int:
    """Import a trace or a list of prompts: Azure and BurstGPT (CSV), Mooncake (JSONL), prompts (text, JSONL).

    What FILE does not say is drawn from the weights and the seed, and the new file's header says so.
    """
    from engine.workloads.importers import FORMATS, detect, open_import

    if format_ != "auto" and format_ not in FORMATS:
        raise UsageError(f"--format {one_line(format_, 40)!r}: there are auto, {', '.join(FORMATS)}")
    if not 0 <= interval < math.inf:
        raise UsageError("--interval is a number of seconds, 0 or more")
    name = detect(file) if format_ == "auto" else format_
    assignment = _assignment(seed, given, FORMATS[name].assigns)
    with open_import(file, name, assignment, interval=interval) as found:
        return _save(output, force, found.header, found.items)


def _assignment(seed: int, given: dict[str, str | None], assigns: bool) -> Assignment | None:
    """How to draw. What is not given has its default in formats that have one drawn, and is left alone in others."""
    from engine.workloads.assignment import Assignment, Weights, parse_weights

    asked = {name: text for name, text in given.items() if text is not None}
    weights: dict[str, Weights] = {} if assigns else {"priorities": (), "agents": (), "clients": ()}
    weights |= {name: () if text == "none" else parse_weights(text, name) for name, text in asked.items()}
    return Assignment(seed=seed, **weights) if assigns or asked else None


@workload.command()
@_output
@click.option("--tasks", type=click.IntRange(min=0), required=True, metavar="N", help="How many.")
@click.option("--rate", type=float, required=True, metavar="R", help="Arrivals a second, on average.")
@click.option(
    "--burstiness", type=float, default=1.0, metavar="CV", help="Of the gaps: 1 Poisson, 0 a clock, above 1 bursts."
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="KEY=VALUE …",
    help="A class of tasks: share, priority, agent, client, model, input, output, service.",
)
@_seed
@common
@click.pass_context
def generate(
    ctx: click.Context,
    /,
    *,
    output: Path,
    force: bool,
    tasks: int,
    rate: float,
    burstiness: float,
    seed: int,
    **given: Any,
) -> int:
    """Make a synthetic workload: Poisson or bursty arrivals, classes of tasks, token counts or service times.

    \b
    --class "share=0.2 priority=1 service=exp:1"
    --class "share=0.8 priority=8 input=lognormal:400,1 output=uniform:10,300 agent=chat client=ada"

    Distributions: const:X, exp:MEAN, uniform:LOW,HIGH, gamma:MEAN,CV, lognormal:MEAN,CV.
    """
    from aios_tui.cli.task_classes import parse_class
    from engine.workloads.generate import TaskClass
    from engine.workloads.generate import generate as make

    classes = [parse_class(text) for text in given["classes"]] or [TaskClass()]
    header, items = make(tasks, rate, seed=seed, burstiness=burstiness, classes=classes)
    return _save(output, force, header, items)


@workload.command()
@click.argument("workload", metavar="WORKLOAD")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common
@click.pass_context
def show(ctx: click.Context, /, workload: str, as_json: bool) -> int:
    """Sum a workload up, with a plot of its arrivals. Reads it through, so a bad line is found."""
    settings = settings_of(ctx).settings
    from aios_tui.cli.workload_summary import as_object, lines
    from aios_tui.workloads.files import find_workload
    from engine.workloads.reader import WorkloadReader
    from engine.workloads.summary import summarise

    with find_workload(workload, settings.workloads_folder) as path, WorkloadReader(path) as reader:
        summary = summarise(reader)
    out = Output()
    if as_json:
        out.line(as_object(path.name, summary))
    else:
        for line in lines(path.name, summary):
            out.line(line)
    return WELL


@workload.command()
@click.argument("workload", metavar="WORKLOAD")
@_output
@click.option("--from", "start", type=float, default=0.0, metavar="S", help="From this second on.")
@click.option("--to", "end", type=float, default=math.inf, metavar="S", help="To before this second.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most so many tasks.")
@common
@click.pass_context
def cut(
    ctx: click.Context, /, *, workload: str, output: Path, force: bool, start: float, end: float, limit: int | None
) -> int:
    """Take a stretch of a workload; its times begin at 0 again."""
    from engine.workloads.reader import in_order
    from engine.workloads.transform import cut as cut_items

    with ExitStack() as stack:
        (reader,) = _open(ctx, stack, [workload])
        items = cut_items(in_order(reader), start=start, end=end, limit=limit)
        header = reader.header.noting(shaped=f"cut from {start:g} s to {end:g} s")
        return _save(output, force, header, items)


@workload.command()
@click.argument("workload", metavar="WORKLOAD")
@click.argument("speed", type=float, metavar="SPEED")
@_output
@common
@click.pass_context
def scale(ctx: click.Context, /, workload: str, speed: float, output: Path, force: bool) -> int:
    """Have the same tasks arrive SPEED times as fast."""
    from engine.workloads.transform import scale as scale_items

    with ExitStack() as stack:
        (reader,) = _open(ctx, stack, [workload])
        items = scale_items(reader, speed)
        return _save(output, force, reader.header.noting(shaped=f"{speed:g} times as fast"), items)


@workload.command()
@click.argument("workloads", metavar="WORKLOAD…", nargs=-1, required=True)
@_output
@common
@click.pass_context
def merge(ctx: click.Context, /, workloads: tuple[str, ...], output: Path, force: bool) -> int:
    """Put workloads together by time; ids become 1:t1, 2:t1, …"""
    from engine.workloads.transform import merge as merge_readers

    with ExitStack() as stack:
        header, items = merge_readers(_open(ctx, stack, workloads))
        return _save(output, force, header, items)


@workload.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option("-o", "--output", type=Path, metavar="FILE", help="Copy the sample NAME there.")
@common
@click.pass_context
def samples(ctx: click.Context, /, name: str | None, output: Path | None) -> int:
    """List the workloads that come with the program, or copy one."""
    from engine.workloads.samples import SAMPLES, copy, get

    out = Output()
    if output is not None:
        if name is None:
            raise click.UsageError("which sample? give its NAME")
        _free(output, force=False)
        copy(get(name), output)
        out.say(f"written to {output}")
        return WELL
    for sample in SAMPLES if name is None else [get(name)]:
        out.line(f"{sample.name:<14} {sample.description}")
    return WELL


def _open(ctx: click.Context, stack: ExitStack, names: Iterable[str]) -> list[Any]:
    """Readers of the workloads of these names, open as long as the stack is."""
    from aios_tui.workloads.files import find_workload
    from engine.workloads.reader import WorkloadReader

    folder = settings_of(ctx).settings.workloads_folder
    paths = [stack.enter_context(find_workload(name, folder)) for name in names]
    return [stack.enter_context(WorkloadReader(path)) for path in paths]


def _save(output: Path, force: bool, header: WorkloadHeader, items: Iterable[Item]) -> int:
    from engine.workloads.writer import save

    _free(output, force)
    count = save(output, header, items)
    Output().say(f"{count} task{'' if count == 1 else 's'} written to {output}")
    return WELL


def _free(path: Path, force: bool) -> None:
    """Raises UsageError when a file is there that is not to be written over."""
    if path.exists() and not force:
        raise UsageError(f"{path} is there already; --force writes over it")
