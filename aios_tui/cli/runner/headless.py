"""Run tasks without a screen: accept them all, run them, and report each as it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

from aios_tui.cli.exit_codes import FAILED, INTERRUPTED, OK
from aios_tui.cli.output import OutputLost, print_note
from aios_tui.cli.runner.signals import Interrupted, Stopper
from aios_tui.cli.runner.task_report import TaskReport
from aios_tui.config.settings import Settings
from aios_tui.runtime.runtime import Runtime
from engine.cores.port import CoreInfo, SlotState
from engine.errors import StoreError, UsageError
from engine.events import Notice, SlotChanged, TaskEnded
from engine.sanitise import one_line
from engine.store import Recovery
from engine.task import Task, TaskRecord, TaskSpec
from engine.wording import did_you_mean


async def run_headless(
    settings: Settings,
    specs: Sequence[TaskSpec] | None,
    *,
    as_json: bool,
    record: Path | None = None,
    origins: Sequence[str] = (),
) -> int:
    """Run `specs`, or with None the tasks that an earlier process left, to their end. Returns the exit code.

    Args:
        record: the file to record the run to, as a workload.
        origins: the line that each of `specs` comes from, for error messages; empty when they were arguments.

    Raises:
        AiosError: nothing was run.
    """
    runtime = Runtime(settings)
    runtime.record_to = record
    with Stopper() as stopper:
        try:
            await runtime.open()
            for problem in runtime.agent_problems:
                print_note(problem)
            _check_agents(runtime, specs or (), origins)
            recovery = await stopper.run(runtime.start(recover=specs is None, paused=True))
            pending = await _accept(runtime, specs, recovery, origins)
            with TaskReport(total=len(pending) + len(recovery.failed), as_json=as_json) as report:
                await _report_failed(runtime, recovery.failed, report)
                return await _run(runtime, stopper, pending, report)
        except Interrupted:
            print_note("interrupted before any task was accepted")
            return stopper.code or INTERRUPTED
        finally:
            await runtime.close()


async def _run(runtime: Runtime, stopper: Stopper, pending: dict[int, TaskSpec], report: TaskReport) -> int:
    """Run the accepted tasks until all have ended or a signal comes. Returns the exit code. Raises OutputLost."""
    try:
        await stopper.run(_follow(runtime, pending, report))
    except Interrupted:
        await runtime.kernel.stop()
        await _report_ended(runtime, pending, report)
        await _close(runtime, report)
        report.finish_interrupted(len(pending))
        return stopper.code or INTERRUPTED
    except OutputLost as lost:
        await runtime.kernel.stop()
        left = await _count_unended(runtime, pending)
        await _close(runtime, report)
        report.finish_interrupted(left, "the reader of stdout has closed it" if lost.closed else "stopped")
        raise
    saved = await _close(runtime, report)
    report.finish()
    return OK if saved and not report.bad else FAILED


async def _accept(
    runtime: Runtime, specs: Sequence[TaskSpec] | None, recovery: Recovery, origins: Sequence[str]
) -> dict[int, TaskSpec]:
    """Submit all tasks to the paused kernel, before the first is dispatched. Returns those to run, by id."""
    infos = await runtime.kernel.inspect()
    for line in runtime.describe_cores():
        print_note(line)
    if specs is None:
        print_note(_format_recovery(recovery))
        return {task.id: task.spec for task in recovery.queued if not task.held}  # nobody here could release the others
    _check_models(specs, infos, origins)
    ids = await runtime.kernel.submit_many(specs)
    print_note(f"{len(ids)} accepted, policy {runtime.kernel.policy.name}")
    return dict(zip(ids, specs, strict=True))


def _format_recovery(recovery: Recovery) -> str:
    left = len(recovery.queued)
    text = f"{left} left by an earlier run" if left else "no tasks left by an earlier run"
    if recovery.interrupted:
        text += f", {len(recovery.interrupted)} of them interrupted"
    if held := sum(task.held for task in recovery.queued):
        text += f", {held} of them held and left alone"
    return text


async def _follow(runtime: Runtime, pending: dict[int, TaskSpec], report: TaskReport) -> None:
    """Let the kernel run; report every task of `pending` as it ends, and remove it."""
    kernel = runtime.kernel
    subscription = kernel.subscribe()
    kernel.resume()
    try:
        while pending:
            await subscription.wait()
            lost = subscription.lost
            for event in subscription.drain():
                if isinstance(event, TaskEnded) and event.task in pending:
                    _report_task(event.final, pending, report)
                elif isinstance(event, Notice):
                    report.note(event.text)
                elif isinstance(event, SlotChanged) and event.state is not SlotState.UP:
                    report.note(f"slot {event.slot} is {event.state}: {event.reason}")
            if lost:
                live = {event.task for event in kernel.snapshot() if hasattr(event, "task")}
                for task_id in [each for each in pending if each not in live]:
                    _report_task(await kernel.wait(task_id), pending, report)
    finally:
        subscription.close()


def _report_task(task: Task, pending: dict[int, TaskSpec], report: TaskReport) -> None:
    del pending[task.id]
    report.add(TaskRecord.of(task))


async def _report_failed(runtime: Runtime, ids: Sequence[int], report: TaskReport) -> None:
    """Report tasks that were interrupted too often, which the recovery itself has failed."""
    for task_id in ids:
        task = await runtime.store.load(task_id)
        if task is not None:
            report.add(TaskRecord.of(task))


async def _report_ended(runtime: Runtime, pending: dict[int, TaskSpec], report: TaskReport) -> None:
    """Report tasks that ended after the last event was read, before the kernel stopped."""
    for task_id in list(pending):
        task = await runtime.kernel.find(task_id)
        if task is not None and task.state.ended:
            _report_task(task, pending, report)


async def _count_unended(runtime: Runtime, pending: Iterable[int]) -> int:
    """Count the tasks of `pending` that have not ended, once the kernel has stopped."""
    tasks = [await runtime.kernel.find(task_id) for task_id in pending]
    return sum(task is not None and not task.state.ended for task in tasks)


async def _close(runtime: Runtime, report: TaskReport) -> bool:
    """Close the runtime. Return False, after a message, when the history could not be written to the end."""
    try:
        await runtime.close()
    except StoreError as error:
        report.note(str(error))
        return False
    return True


def _check_agents(runtime: Runtime, specs: Sequence[TaskSpec], origins: Sequence[str]) -> None:
    """Raise UsageError for an unknown agent."""
    for name, origin in _first_uses((spec.agent for spec in specs), origins).items():
        try:
            runtime.agents.get(name)
        except UsageError as error:
            raise UsageError(f"{origin}{error}") from None


def _first_uses(names: Iterable[str], origins: Sequence[str]) -> dict[str, str]:
    """Return for each name the origin of its first task as the beginning of a message; empty without origins."""
    found: dict[str, str] = {}
    for name, origin in zip_longest(names, origins, fillvalue=""):
        found.setdefault(name, f"{origin}: " if origin else "")
    return found


def _check_models(specs: Sequence[TaskSpec], infos: Sequence[CoreInfo], origins: Sequence[str]) -> None:
    """Raise UsageError for a model that no core has, if all cores list theirs."""
    known = {model.name for info in infos for model in info.models}
    if not known or not all(info.healthy and info.models for info in infos):
        return
    for name, origin in _first_uses((spec.model or "" for spec in specs), origins).items():
        if name and name not in known and f"{name}:latest" not in known:
            raise UsageError(one_line(f"{origin}unknown model {name!r}; {did_you_mean(name, known)}"))
