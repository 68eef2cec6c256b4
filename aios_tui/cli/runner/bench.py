"""A benchmark from first to last: make the core, measure it level by level, tell, and keep what was measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from aios_tui.cli.exit_codes import FAILED, INTERRUPTED, WELL
from aios_tui.cli.output import Output
from aios_tui.cli.runner.headless import Interrupted, Stopper
from aios_tui.config import paths
from aios_tui.config.settings import Settings
from aios_tui.reporting import bench_results
from aios_tui.reporting.bench_results import BenchLevel, BenchResult, Figures
from engine.benchmark import MOST_STREAMS, BenchReply, Work, level, load_time, measure, overlap, warm_up
from engine.cores.core_spec import CoreSpec
from engine.cores.factory import choose_core, make_core
from engine.cores.port import Core, CoreInfo
from engine.errors import CoreError, UsageError

USUAL = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What is to be measured, as the command line said it.

    `model` None: the core's default. `streams` empty: the usual, and what the server shows.
    """

    settings: Settings
    core: str
    model: str | None
    streams: tuple[int, ...]
    tokens: int
    prompt_tokens: int
    runs: int
    as_json: bool


async def run_bench(plan: BenchPlan) -> int:
    """Carry the plan out. Returns the exit code.

    Raises:
        AiosError: nothing was measured; the line says why.
    """
    out = Output()
    wanted = await _wanted(plan)
    most = max(plan.streams or (*USUAL, wanted.config.slots or 1))
    core = _core(plan, wanted, MOST_STREAMS if _looks(plan, wanted) else most)
    with Stopper() as stopper:
        measuring = _Measuring(plan, wanted, core, out)
        try:
            code = await measuring.carry_out(stopper)
        finally:
            await core.stop(drain_s=0)
    bench = measuring.result()
    if bench is None:
        out.say("nothing was measured")
        return code
    bench_results.keep(paths.bench_file(), bench)
    if plan.as_json:
        out.line(bench.model_dump_json())
    else:
        for line in _told(bench):
            out.line(line)
    out.say(f"kept in {paths.bench_file()}; `aios-tui replay --virtual --calibrate bench:{bench.core}` goes by it")
    return code


async def _wanted(plan: BenchPlan) -> CoreSpec:
    """The one core that is meant."""
    from engine.cores.config import CoreConfig
    from engine.cores.core_spec import parse_cores

    found = parse_cores(plan.core, plan.settings.cores)
    if found is None:
        chosen = await choose_core(plan.core, **plan.settings.core_arguments())
        await chosen.core.stop(drain_s=0)
        return CoreSpec(chosen.core.name, CoreConfig(kind=chosen.core.name))
    if len(found) > 1:
        raise UsageError(f"which core? There are {', '.join(each.name for each in found)}")
    return found[0]


def _looks(plan: BenchPlan, wanted: CoreSpec) -> bool:
    """Whether to look for how many a server runs at a time."""
    return not plan.streams and wanted.config.family == "ollama"


def _core(plan: BenchPlan, wanted: CoreSpec, slots: int) -> Core:
    plain = CoreSpec(wanted.name, wanted.config.model_copy(update={"slots": slots}), wanted.configured)
    return make_core(plain, **plan.settings.making_arguments(), must_answer=True).core


class _Measuring:
    """Takes one level after the other; what is there at any moment is what was measured by then."""

    def __init__(self, plan: BenchPlan, wanted: CoreSpec, core: Core, out: Output) -> None:
        self._plan, self._wanted, self._core, self._out = plan, wanted, core, out
        self._info: CoreInfo | None = None
        self._model = ""
        self._load_s: float | None = None
        self._batches: dict[int, list[list[BenchReply]]] = {}

    async def carry_out(self, stopper: Stopper) -> int:
        """Measure. Returns the exit code. Raises AiosError when nothing was measured."""
        try:
            await stopper.unless(self._all())
        except Interrupted:
            self._out.say("interrupted")
            return stopper.code or INTERRUPTED
        except CoreError as error:
            if not any(self._batches.values()):
                raise
            self._out.say(f"broken off: {error}")
            return FAILED
        return WELL

    async def _all(self) -> None:
        began = time.monotonic()
        await self._core.start()
        started = time.monotonic() - began
        self._info = info = await self._core.inspect()
        self._model = self._plan.model or info.default_model or ""
        if not self._model:
            raise CoreError(info.detail or f"core {self._core.name} has no default model; name one with --model")
        work = self._work()
        self._out.say(f"measuring core {self._core.name}, {self._model}, {info.where}")
        if self._wanted.config.family == "embedded":
            self._load_s = started
        else:
            await self._time_load()
        await warm_up(self._core, work)
        for streams in self._numbers():
            batches = self._batches[streams] = []
            async for batch in measure(self._core, streams, work):
                batches.append(batch)
                self._told(streams, len(batches))

    async def _time_load(self) -> None:
        try:
            self._load_s = await load_time(self._core, self._model)
        except CoreError as error:
            self._out.say(f"load time not measured: {error}")
        else:
            if self._load_s is not None:
                self._out.say(f"loaded in {self._load_s:.2f} s")

    def _numbers(self) -> Iterator[int]:
        """The numbers of streams; of a server that shows no limit, twice as many until it does."""
        if self._plan.streams:
            yield from self._plan.streams
            return
        numbers = sorted({*USUAL, self._wanted.config.slots or 1})
        yield from numbers
        if _looks(self._plan, self._wanted):
            more = numbers[-1]
            while max(map(overlap, self._batches[more])) >= more and more * 2 <= MOST_STREAMS:
                more *= 2
                yield more

    def _work(self) -> Work:
        plan = self._plan
        return Work(
            self._model,
            plan.tokens,
            plan.prompt_tokens,
            plan.runs,
            plan.settings.first_token_s or None,
            plan.settings.gap_s or None,
        )

    def _told(self, streams: int, run: int) -> None:
        self._out.say(f"{streams} stream{'' if streams == 1 else 's'}, run {run} of {self._plan.runs}")

    def result(self) -> BenchResult | None:
        """What was measured, None when nothing was."""
        levels = [level(streams, batches) for streams, batches in self._batches.items() if batches]
        if not levels or self._info is None:
            return None
        return BenchResult(
            at=time.time(),
            core=self._core.name,
            kind=self._info.kind or self._wanted.config.kind,
            model=self._model,
            version=self._info.version,
            where=self._info.where,
            load_s=self._load_s,
            levels=tuple(BenchLevel.of(each) for each in levels),
        )


def _told(bench: BenchResult) -> Iterator[str]:
    yield f"core {bench.core}, {bench.model}, {', '.join(filter(None, (bench.version, bench.where)))}"
    yield f"load time  {f'{bench.load_s:.2f} s' if bench.load_s is not None else 'not measured'}"
    head = ("streams", "TTFT s", "TPOT s", "tok/s a stream", "tok/s in all", "prompt tok/s", "at once")
    rows = [head, *map(_row, bench.levels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    first = bench.levels[0]
    yield (
        f"median (lowest–highest) of {first.runs} runs; about {first.tokens_in:.0f} tokens of prompt and"
        f" {first.tokens_out:.0f} of reply"
    )
    if bench.kind in ("ollama", "openai"):
        yield _finding(bench)


def _finding(bench: BenchResult) -> str:
    """How many the server ran at a time."""
    top = max(bench.levels, key=lambda each: each.streams)
    found = max(each.at_once for each in bench.levels)
    if found >= top.streams:
        return f"the server ran all {top.streams} at once; it may do more"
    return f"of {top.streams} requests in flight the server ran {found} at a time: slots = {found} is its real number"


def _row(seen: BenchLevel) -> tuple[str, ...]:
    return (
        str(seen.streams),
        _spread(seen.ttft_s, 2),
        _spread(seen.tpot_s, 4),
        _spread(seen.stream_tps, 1),
        _spread(seen.total_tps, 1),
        _spread(seen.prompt_tps, 0),
        str(seen.at_once),
    )


def _spread(figures: Figures, digits: int) -> str:
    return f"{figures.median:.{digits}f} ({figures.low:.{digits}f}–{figures.high:.{digits}f})"
