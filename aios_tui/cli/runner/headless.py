"""Tasks from first to last without a screen: accept them all, run them, tell of each as it ends."""

from __future__ import annotations

import asyncio
import difflib
import signal
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from aios_tui.cli.exit_codes import FAILED, INTERRUPTED, TERMINATED, WELL
from aios_tui.cli.output import Output, OutputLost
from aios_tui.cli.runner.task_report import TaskReport
from aios_tui.config.settings import Settings
from aios_tui.runtime.runtime import Runtime
from engine.cores.port import CoreInfo, SlotState
from engine.errors import StoreError, UsageError
from engine.events import Notice, SlotChanged, TaskEnded
from engine.sanitise import one_line
from engine.store import Recovery
from engine.task import Task, TaskRecord, TaskSpec

T = TypeVar("T")


class Interrupted(Exception):
    """A signal asked us to stop."""


class Stopper(AbstractContextManager["Stopper"]):
    """Turns the first SIGINT or SIGTERM into an end in order, and the second SIGINT into one at once."""

    def __init__(self) -> None:
        self.code: int | None = None
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stopper:
        for each in (signal.SIGINT, signal.SIGTERM):
            self._before[each] = signal.signal(each, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self.code is None:
            self.code = TERMINATED if number == signal.SIGTERM else INTERRUPTED
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever presses again means it; the history can take that
            self._loop.call_soon_threadsafe(self._asked.set)

    async def unless(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is cancelled when a signal comes first. Raises Interrupted then."""
        running = asyncio.ensure_future(work)
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                raise Interrupted
            return running.result()
        finally:
            await _cancelled(running, asked)


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run_headless(
    settings: Settings,
    specs: Sequence[TaskSpec] | None,
    *,
    as_json: bool,
    record: Path | None = None,
    lines: Sequence[str] = (),
) -> int:
    """Run `specs`, or with None what an earlier process left, to the end, recorded to `record`. Returns the exit code.

    `lines` says where each of `specs` stands, for when it can't be run; empty when they were arguments.

    Raises:
        AiosError: nothing was run; the line says why.
    """
    runtime = Runtime(settings)
    runtime.record_to = record
    out = Output()
    with Stopper() as stopper:
        try:
            await runtime.open()
            for problem in runtime.agent_problems:
                out.say(problem)
            _check_agents(runtime, specs or (), lines)
            recovery = await stopper.unless(runtime.start(recover=specs is None, paused=True))
            pending = await _take(runtime, specs, recovery, out, lines)
            with TaskReport(out, total=len(pending) + len(recovery.failed), as_json=as_json) as report:
                await _report_failed(runtime, recovery.failed, report)
                try:
                    await stopper.unless(_follow(runtime, pending, report))
                except Interrupted:
                    await runtime.kernel.stop()
                    await _report_ended(runtime, pending, report)
                    await _close(runtime, report)
                    report.interrupted(len(pending))
                    return stopper.code or INTERRUPTED
                except OutputLost as lost:
                    await runtime.kernel.stop()
                    left = await _left(runtime, pending)
                    await _close(runtime, report)
                    report.interrupted(left, "nobody reads on" if lost.gone else "stopped")
                    raise
                well = await _close(runtime, report)
                report.end()
                return WELL if well and not report.bad else FAILED
        except Interrupted:
            out.say("interrupted before any task was accepted")
            return stopper.code or INTERRUPTED
        finally:
            await runtime.close()


async def _take(
    runtime: Runtime, specs: Sequence[TaskSpec] | None, recovery: Recovery, out: Output, lines: Sequence[str]
) -> dict[int, TaskSpec]:
    """Have the tasks accepted, on the paused kernel, all before the first is dispatched."""
    infos = await runtime.kernel.inspect()
    for line in runtime.describe_cores():
        out.say(line)
    if specs is None:
        out.say(_left_words(recovery))
        return {task.id: task.spec for task in recovery.queued if not task.held}  # nobody here could release the others
    _check_models(specs, infos, lines)
    ids = await runtime.kernel.submit_many(specs)
    out.say(f"{len(ids)} accepted, policy {runtime.kernel.policy.name}")
    return dict(zip(ids, specs, strict=True))


def _left_words(recovery: Recovery) -> str:
    left = len(recovery.queued)
    words = f"{left} left by an earlier run" if left else "nothing was left by an earlier run"
    if recovery.interrupted:
        words += f", {len(recovery.interrupted)} of them interrupted"
    if held := sum(task.held for task in recovery.queued):
        words += f", {held} of them held and left alone"
    return words


async def _follow(runtime: Runtime, pending: dict[int, TaskSpec], report: TaskReport) -> None:
    """Let the kernel run, and report every task of `pending` as it ends, taking it out."""
    kernel = runtime.kernel
    subscription = kernel.subscribe()
    kernel.resume()
    try:
        while pending:
            await subscription.wait()
            lost = subscription.lost
            for event in subscription.drain():
                if isinstance(event, TaskEnded) and event.task in pending:
                    _ended(event.final, pending, report)
                elif isinstance(event, Notice):
                    report.say(event.text)
                elif isinstance(event, SlotChanged) and event.state is not SlotState.UP:
                    report.say(f"slot {event.slot} is {event.state}: {event.reason}")
            if lost:
                live = {event.task for event in kernel.snapshot() if hasattr(event, "task")}
                for task_id in [each for each in pending if each not in live]:
                    _ended(await kernel.wait(task_id), pending, report)
    finally:
        subscription.close()


def _ended(task: Task, pending: dict[int, TaskSpec], report: TaskReport) -> None:
    del pending[task.id]
    report.task(TaskRecord.of(task))


async def _report_failed(runtime: Runtime, ids: Sequence[int], report: TaskReport) -> None:
    """Tasks that were interrupted too often ended with the recovery itself."""
    for task_id in ids:
        task = await runtime.store.load(task_id)
        if task is not None:
            report.task(TaskRecord.of(task))


async def _report_ended(runtime: Runtime, pending: dict[int, TaskSpec], report: TaskReport) -> None:
    """Tasks that ended after the last look, before the kernel stood still."""
    for task_id in list(pending):
        task = await runtime.kernel.find(task_id)
        if task is not None and task.state.ended:
            _ended(task, pending, report)


async def _left(runtime: Runtime, pending: Iterable[int]) -> int:
    """How many of `pending` have not ended, now that the kernel stands still."""
    tasks = [await runtime.kernel.find(task_id) for task_id in pending]
    return sum(task is not None and not task.state.ended for task in tasks)


async def _close(runtime: Runtime, report: TaskReport) -> bool:
    """Close the session; whether all could be written. If not, that is said, and the tasks have run all the same."""
    try:
        await runtime.close()
    except StoreError as error:
        report.say(str(error))
        return False
    return True


def _check_agents(runtime: Runtime, specs: Sequence[TaskSpec], lines: Sequence[str]) -> None:
    for name, line in _first((spec.agent for spec in specs), lines).items():
        try:
            runtime.agents.get(name)
        except UsageError as error:
            raise UsageError(f"{line}{error}") from None


def _first(names: Iterable[str], lines: Sequence[str]) -> dict[str, str]:
    """For each of `names`, where it stands first, ready to be put before a message."""
    found: dict[str, str] = {}
    for name, line in zip_longest(names, lines, fillvalue=""):
        found.setdefault(name, f"{line}: " if line else "")
    return found


def _check_models(specs: Sequence[TaskSpec], infos: Sequence[CoreInfo], lines: Sequence[str]) -> None:
    """Refuse a model that no core has, where the cores tell what they have."""
    known = {model.name for info in infos for model in info.models}
    if not known or not all(info.healthy and info.models for info in infos):
        return
    for name, line in _first((spec.model or "" for spec in specs), lines).items():
        if name and name not in known and f"{name}:latest" not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known)[:10])}"
            raise UsageError(one_line(f"{line}unknown model {name!r}: {hint}"))
