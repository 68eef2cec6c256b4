"""Run a benchmark: start the core, measure it at each number of streams, print and save the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from aios_tui.cli.exit_codes import FAILED, INTERRUPTED, OK
from aios_tui.cli.output import print_line, print_note, table_lines
from aios_tui.cli.runner.signals import Interrupted, Stopper
from aios_tui.config import paths
from aios_tui.config.settings import Settings
from aios_tui.reporting import bench_results
from aios_tui.reporting.bench_results import BenchResult
from engine.benchmark import MOST_STREAMS, BenchReply, Level, Work, level, load_time, measure, overlap, warm_up
from engine.cores.core_spec import CoreSpec
from engine.cores.factory import choose_core, make_core
from engine.cores.port import Core, CoreInfo
from engine.errors import CoreError, UsageError
from engine.wording import plural

DEFAULT_STREAMS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """The core to measure, and the load to measure it with.

    Attributes:
        model: None for the core's default.
        streams: numbers of requests in flight; empty for the default ones and, for Ollama, more until its limit shows.
        tokens, prompt_tokens: of a reply and of a prompt.
        runs: repetitions of each number of streams.
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
    """Carry out `plan`. Returns the exit code. Raises AiosError: nothing was measured."""
    spec = await _find_core(plan)
    most = max(plan.streams or (*DEFAULT_STREAMS, spec.config.slots or 1))
    core = _make_core(plan, spec, MOST_STREAMS if _seeks_limit(plan, spec) else most)
    with Stopper() as stopper:
        measurement = _Measurement(plan, spec, core)
        try:
            code = await measurement.run(stopper)
        finally:
            await core.stop(drain_s=0)
    bench = measurement.result()
    if bench is None:
        print_note("nothing was measured")
        return code
    bench_results.keep(paths.bench_file(), bench)
    if plan.as_json:
        print_line(bench.model_dump_json())
    else:
        for line in _format_result(bench):
            print_line(line)
    print_note(f"saved in {paths.bench_file()}; `aios-tui replay --virtual --calibrate bench:{bench.core}` uses it")
    return code


async def _find_core(plan: BenchPlan) -> CoreSpec:
    """Return the one core that the plan names. Raises UsageError when it names several."""
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


def _seeks_limit(plan: BenchPlan, spec: CoreSpec) -> bool:
    """Return True when the number of streams grows until the server's limit shows."""
    return not plan.streams and spec.config.family == "ollama"


def _make_core(plan: BenchPlan, spec: CoreSpec, slots: int) -> Core:
    widened = CoreSpec(spec.name, spec.config.model_copy(update={"slots": slots}), spec.configured)
    return make_core(widened, **plan.settings.making_arguments(), must_answer=True).core


class _Measurement:
    """Measure one number of streams after the other; `result` is what has been measured so far."""

    def __init__(self, plan: BenchPlan, spec: CoreSpec, core: Core) -> None:
        self._plan, self._spec, self._core = plan, spec, core
        self._info: CoreInfo | None = None
        self._model = ""
        self._load_s: float | None = None
        self._batches: dict[int, list[list[BenchReply]]] = {}

    async def run(self, stopper: Stopper) -> int:
        """Measure. Returns the exit code. Raises AiosError when nothing was measured."""
        try:
            await stopper.run(self._measure())
        except Interrupted:
            print_note("interrupted")
            return stopper.code or INTERRUPTED
        except CoreError as error:
            if not any(self._batches.values()):
                raise
            print_note(f"stopped: {error}")
            return FAILED
        return OK

    async def _measure(self) -> None:
        began = time.monotonic()
        await self._core.start()
        started = time.monotonic() - began
        self._info = info = await self._core.inspect()
        self._model = self._plan.model or info.default_model or ""
        if not self._model:
            raise CoreError(info.detail or f"core {self._core.name} has no default model; name one with --model")
        work = self._work()
        print_note(f"measuring core {self._core.name}, {self._model}, {info.where}")
        if self._spec.config.family == "embedded":
            self._load_s = started
        else:
            await self._measure_load()
        await warm_up(self._core, work)
        for streams in self._stream_counts():
            batches = self._batches[streams] = []
            async for batch in measure(self._core, streams, work):
                batches.append(batch)
                print_note(f"{plural(streams, 'stream')}, run {len(batches)} of {self._plan.runs}")

    async def _measure_load(self) -> None:
        try:
            self._load_s = await load_time(self._core, self._model)
        except CoreError as error:
            print_note(f"load time not measured: {error}")
        else:
            if self._load_s is not None:
                print_note(f"loaded in {self._load_s:.2f} s")

    def _stream_counts(self) -> Iterator[int]:
        """Yield the numbers of streams to measure; for Ollama, doubled until the server runs no more at once."""
        if self._plan.streams:
            yield from self._plan.streams
            return
        counts = sorted({*DEFAULT_STREAMS, self._spec.config.slots or 1})
        yield from counts
        if _seeks_limit(self._plan, self._spec):
            more = counts[-1]
            while max(map(overlap, self._batches[more])) >= more and more * 2 <= MOST_STREAMS:
                more *= 2
                yield more

    def _work(self) -> Work:
        plan = self._plan
        limits = plan.settings.first_token_s or None, plan.settings.gap_s or None
        return Work(self._model, plan.tokens, plan.prompt_tokens, plan.runs, *limits)

    def result(self) -> BenchResult | None:
        """Return what was measured, None when nothing was."""
        levels = [level(streams, batches) for streams, batches in self._batches.items() if batches]
        if not levels or self._info is None:
            return None
        return BenchResult(
            at=time.time(),
            core=self._core.name,
            kind=self._info.kind or self._spec.config.kind,
            model=self._model,
            version=self._info.version,
            where=self._info.where,
            load_s=self._load_s,
            levels=tuple(levels),
        )


def _format_result(bench: BenchResult) -> Iterator[str]:
    yield f"core {bench.core}, {bench.model}, {', '.join(filter(None, (bench.version, bench.where)))}"
    yield f"load time  {f'{bench.load_s:.2f} s' if bench.load_s is not None else 'not measured'}"
    head = ("streams", "TTFT s", "TPOT s", "tok/s a stream", "tok/s in all", "prompt tok/s", "at once")
    yield from table_lines([head, *map(_row, bench.levels)], left=0)
    first = bench.levels[0]
    yield (
        f"median (lowest–highest) of {plural(first.runs, 'run')}; about {first.tokens_in:.0f} tokens per prompt and"
        f" {first.tokens_out:.0f} per reply"
    )
    if bench.kind in ("ollama", "openai"):
        yield _format_limit(bench)


def _format_limit(bench: BenchResult) -> str:
    """Return a line on how many requests the server ran at a time."""
    top = max(bench.levels, key=lambda each: each.streams)
    found = max(each.at_once for each in bench.levels)
    if found >= top.streams:
        return f"the server ran all {top.streams} at once; it may run more"
    return f"of {top.streams} requests in flight the server ran {found} at a time: slots = {found} is its real number"


def _row(measured: Level) -> tuple[str, ...]:
    digits = {"ttft_s": 2, "tpot_s": 4, "stream_tps": 1, "total_tps": 1, "prompt_tps": 0}
    spreads = [(getattr(measured, name), places) for name, places in digits.items()]
    shown = (f"{each.median:.{n}f} ({each.low:.{n}f}–{each.high:.{n}f})" for each, n in spreads)
    return str(measured.streams), *shown, str(measured.at_once)
