"""Live replays: each policy with a kernel of its own, a real core and the real history."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aios_tui.cli.exit_codes import FAILED, INTERRUPTED, OK
from aios_tui.cli.output import print_note
from aios_tui.cli.progress import counting_bar
from aios_tui.cli.runner.replay_plan import ReplayPlan
from aios_tui.cli.runner.replay_results import keep_runs
from aios_tui.cli.runner.signals import Interrupted, Stopper
from aios_tui.reporting.results import Results, gather
from aios_tui.runtime.runtime import Runtime
from engine.errors import AiosError, UsageError
from engine.replay.live import LiveReplay
from engine.replay.live_results import Progress
from engine.replay.synthetic_prompt import longest_prompt
from engine.replay.tables import Run
from engine.task import TaskSpec
from engine.workloads.format import ControlRow
from engine.workloads.reader import Workload, load

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


async def run_live(plan: ReplayPlan, path: Path) -> tuple[Results | None, int]:
    """Replay the plan's workload under each of its policies; on ctrl-C return what was measured so far.

    Returns the results, None when no task was sent, and the exit code.

    Raises:
        AiosError: nothing was run, or the core could not be started.
    """
    workload = await asyncio.to_thread(load, path)
    if not workload.tasks:
        raise UsageError(f"{path}: there is no task in it")
    runs: list[tuple[Run, bool]] = []
    policies = [policy.name for policy in plan.policies] or [_first_policy(workload) or plan.settings.policy]
    code = OK
    with Stopper() as stopper:
        for policy in policies:
            replay = _PolicyRun(plan, workload, policy)
            try:
                run, complete = await replay.play(stopper)
            except Interrupted:
                code = stopper.code or INTERRUPTED
                break
            except AiosError as error:
                if not runs:
                    raise
                print_note(f"{policy} was not run: {error}")  # the runs before it are reported all the same
                code = FAILED
                break
            runs.append((run, complete))
            if not complete:
                code = stopper.code or FAILED
                break
    if not runs:
        print_note("interrupted before any task was sent")
        return None, code
    if any(_failures(run, workload) for run, _ in runs):
        code = code or FAILED
    return gather(path.name, runs), code


def _first_policy(workload: Workload) -> str | None:
    """Return the policy that the workload sets at its start."""
    own = [item.policy for item in workload.items if isinstance(item, ControlRow) and item.policy and item.at <= 0]
    return own[-1] if own else None


def _failures(run: Run, workload: Workload) -> int:
    """Count the tasks that failed or were cancelled, except those that the workload itself cancels."""
    planned = {item.task for item in workload.items if isinstance(item, ControlRow) and item.op == "cancel"}
    return sum(run.tasks.ids[index] not in planned for index in run.failed)


@dataclass(frozen=True, slots=True)
class _PolicyRun:
    """One run under one policy, with its own runtime, kernel and core."""

    _plan: ReplayPlan
    _workload: Workload
    _policy: str

    async def play(self, stopper: Stopper) -> tuple[Run, bool]:
        """Return the run, and True if it is complete. Raises Interrupted when no task was sent."""
        runtime = Runtime(self._plan.settings.model_copy(update={"policy": self._policy}))
        try:
            await runtime.open()
            for name in {row.agent or self._workload.header.defaults.agent or "chat" for row in self._workload.tasks}:
                runtime.agents.get(name)
            await stopper.run(runtime.start(recover=False))
            infos = await stopper.run(runtime.kernel.inspect())
            for line in runtime.describe_cores():
                print_note(f"{self._policy} on {line}")
            replay = LiveReplay(
                runtime.kernel,
                self._workload,
                speed=self._plan.speed or 1.0,
                switches=self._plan.switches or not self._plan.policies,
                longest_prompt=longest_prompt(infos),
                change=self._override,
            )
            complete = await self._run(replay, stopper)
            run = replay.result()
            run.note = f"core {runtime.core_names}, {run.note}"
            if not replay.task_ids:
                raise Interrupted
            cancelling = [runtime.kernel.cancel(id_, "the replay was interrupted") for id_ in replay.unended]
            await asyncio.gather(*cancelling)
            if self._plan.keep:
                results = gather(self._workload.name, [(run, complete)]).results
                await keep_runs(runtime.store, self._workload.name, results, runtime.core_names)
            return run, complete
        finally:
            await runtime.close()

    async def _run(self, replay: LiveReplay, stopper: Stopper) -> bool:
        """Play until all tasks have ended. Return False when a signal or a fault ended it before."""
        with counting_bar(self._policy, total=None, width=24, with_text=True) or nullcontext() as bar:
            if bar is not None:
                replay.on_progress(partial(_draw, bar))
            try:
                await stopper.run(replay.run())
                return True
            except Interrupted:
                print_note("interrupted: the tasks that had not ended are cancelled")
            except AiosError as error:
                if not replay.task_ids:
                    raise
                print_note(f"stopped: {error}")
        return False

    def _override(self, spec: TaskSpec) -> TaskSpec:
        """Return `spec` with the model, seed and longest reply of the command line."""
        update: dict[str, object] = {}
        if self._plan.model_given:
            update["model"] = self._plan.settings.model
        options: dict[str, int] = {}
        if self._plan.seed is not None and spec.options.seed is None:
            options["seed"] = self._plan.seed
        if self._plan.max_tokens is not None:
            options["max_tokens"] = min(self._plan.max_tokens, spec.options.max_tokens or self._plan.max_tokens)
        if options:
            update["options"] = spec.options.model_copy(update=options)
        return spec.model_copy(update=update) if update else spec


def _draw(bar: Bar, progress: Progress) -> None:
    """Draw the replay's present state."""
    waiting, running = progress.sent - progress.started, max(0, progress.started - progress.ended)
    text = f"at {progress.position:.0f} s · sent {progress.sent} · waiting {waiting} · running {running}"
    failed = f" · failed {progress.failed}" if progress.failed else ""
    bar.update(bar.task_ids[0], completed=progress.ended, total=progress.total, description=text + failed)
