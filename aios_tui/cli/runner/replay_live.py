"""Live replays: each policy on a kernel of its own, with a real core and the real history."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from aios_tui.cli.exit_codes import FAILED, INTERRUPTED, WELL
from aios_tui.cli.output import Output
from aios_tui.cli.runner.headless import Interrupted, Stopper
from aios_tui.cli.runner.replay_keep import keep, tell_kept
from aios_tui.cli.runner.replay_plan import ReplayPlan
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
    from rich.progress import TaskID


async def run_live(plan: ReplayPlan, path: Path, out: Output) -> tuple[Results | None, int]:
    """Replay the plan's workload under each of its policies. Ctrl-C ends it with what was measured by then.

    Raises:
        AiosError: nothing was run, or the core could not be started.
    """
    workload = await asyncio.to_thread(load, path)
    if not workload.tasks:
        raise UsageError(f"{path}: there is no task in it")
    runs: list[tuple[Run, bool]] = []
    policies = [policy.name for policy in plan.policies] or [_own_policy(workload) or plan.settings.policy]
    code = WELL
    notes: list[str] = []
    with Stopper() as stopper:
        for policy in policies:
            replay = _Replay(plan, workload, policy, out)
            try:
                run, complete = await replay.play(stopper)
            except Interrupted:
                code = stopper.code or INTERRUPTED
                break
            except AiosError as error:
                if not runs:
                    raise
                out.say(f"{policy} was not run: {error}")  # what was measured before is reported all the same
                code = FAILED
                break
            runs.append((run, complete))
            notes += [note for note in replay.notes if note not in notes]
            if not complete:
                code = stopper.code or FAILED
                break
    if not runs:
        out.say("interrupted before any task was sent")
        return None, code
    return gather(path.name, runs, notes), code


def _own_policy(workload: Workload) -> str | None:
    """The policy with which the workload itself begins."""
    own = [item.policy for item in workload.items if isinstance(item, ControlRow) and item.policy and item.at <= 0]
    return own[-1] if own else None


class _Replay:
    """One replay under one policy: its own session, its kernel, its core."""

    def __init__(self, plan: ReplayPlan, workload: Workload, policy: str, out: Output) -> None:
        self._plan = plan
        self._workload = workload
        self._policy = policy
        self._out = out
        self.notes: list[str] = []

    async def play(self, stopper: Stopper) -> tuple[Run, bool]:
        """The run, and whether it is complete. Raises Interrupted when nothing had been sent."""
        runtime = Runtime(self._plan.settings.model_copy(update={"policy": self._policy}))
        try:
            await runtime.open()
            for name in {row.agent or self._workload.header.defaults.agent or "chat" for row in self._workload.tasks}:
                runtime.agents.get(name)
            await stopper.unless(runtime.start(recover=False))
            infos = await stopper.unless(runtime.kernel.inspect())
            self._tell_cores(runtime)
            replay = LiveReplay(
                runtime.kernel,
                self._workload,
                speed=self._plan.speed or 1.0,
                switches=self._plan.switches or not self._plan.policies,
                longest_prompt=longest_prompt(infos),
                change=self._changed,
            )
            complete = await self._run(replay, stopper)
            run = replay.result()
            run.note = f"core {runtime.core_names}, {run.note}"
            if not replay.task_ids:
                raise Interrupted
            cancelling = [runtime.kernel.cancel(id_, "the replay was interrupted") for id_ in replay.unended]
            await asyncio.gather(*cancelling)
            if self._plan.keep:
                (result,) = gather(self._workload.name, [(run, complete)]).results
                kept = await keep(runtime.store, self._workload.name, [result], runtime.core_names)
                tell_kept(kept, self._out)
            return run, complete
        finally:
            await runtime.close()

    async def _run(self, replay: LiveReplay, stopper: Stopper) -> bool:
        with Live(self._policy) as live:
            replay.on_progress(live.told)
            try:
                await stopper.unless(replay.run())
                return True
            except Interrupted:
                self._out.say("interrupted: the tasks that did not end are cancelled")
            except AiosError as error:
                if not replay.task_ids:
                    raise
                self._out.say(f"broken off: {error}")
        return False

    def _tell_cores(self, runtime: Runtime) -> None:
        for line in runtime.describe_cores():
            self._out.say(f"{self._policy} on {line}")

    def _changed(self, spec: TaskSpec) -> TaskSpec:
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


class Live(AbstractContextManager["Live"]):
    """A progress bar with the replay's state, on stderr, where that is a terminal."""

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._bar: Bar | None = None
        self._line: TaskID | None = None

    def __enter__(self) -> Live:
        if sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn(self._policy, markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._line = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def told(self, progress: Progress) -> None:
        if self._bar is None or self._line is None:
            return
        ended = progress.done + progress.failed
        waiting, running = progress.sent - progress.started, progress.started - ended
        said = f"at {progress.position:.0f} s · sent {progress.sent} · waiting {waiting} · running {max(0, running)}"
        failed = f" · failed {progress.failed}" if progress.failed else ""
        self._bar.update(self._line, completed=ended, total=progress.total, description=said + failed)
