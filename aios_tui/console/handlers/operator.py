"""What each action does, under the ids of the action table. An operation is called only when its action can act.

Those that wait return an awaitable, which the app runs as a worker; an AiosError in it becomes a notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from aios_tui.console.actions import ActionContext
from aios_tui.console.handlers import workloads
from engine.errors import AiosError
from engine.scheduling import parse_policy, with_affinity_of
from engine.store import Recovery
from engine.task import KernelState, TaskSpec

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase
    from aios_tui.console.screens.main import MainScreen

Operation = Callable[["ConsoleBase", ActionContext], Awaitable[None] | None]


def _main(app: ConsoleBase) -> MainScreen:
    return cast("MainScreen", app.screen_stack[0])


def recovered_words(recovery: Recovery) -> str:
    """What was taken up from an earlier run, in one line; empty when nothing was."""
    parts = []
    if recovery.queued:
        parts.append(f"{_tasks(len(recovery.queued))} of an earlier run queued again")
    if held := sum(task.held for task in recovery.queued):
        parts.append("held" if len(recovery.queued) == 1 else f"{held} of them held")
    if recovery.interrupted:
        parts.append(f"{len(recovery.interrupted)} had been interrupted")
    if recovery.failed:
        parts.append(f"{_tasks(len(recovery.failed))} failed: interrupted too often")
    return ", ".join(parts)


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"


async def submit(app: ConsoleBase, specs: list[TaskSpec]) -> None:
    """Submit tasks and say their ids; while the core starts, once it is up. Raises AiosError."""
    if not app.live:
        app.tell("the core is still starting; what you wrote is submitted as soon as it is up")
        await app.started.wait()
    ids = await app.runtime.kernel.submit_many(specs)
    app.bridge.flush()
    if len(ids) == 1:
        app.tell(f"#{ids[0]} is queued")
    elif ids:
        app.tell(f"#{ids[0]} to #{ids[-1]} are queued")


def use_policy(app: ConsoleBase, policy: str) -> None:
    """Switch to a policy by name, from the palette."""
    if not app.live:
        app.tell("no core is running, so there is nothing to schedule", "warning")
        return
    try:
        app.runtime.kernel.switch_policy(policy)
    except AiosError as error:
        app.tell(str(error), "error")
        return
    app.bridge.flush()
    app.tell(f"policy {policy}: {app.view.order.ready} ready, ordered anew")


def _new(app: ConsoleBase, _: ActionContext) -> None:
    """Open the form at once, not in the background: what is typed right behind its key belongs into it."""
    from aios_tui.console.screens.submit import SubmitScreen

    def written(specs: list[TaskSpec] | None) -> None:
        if specs:
            app.carry_out(partial(submit, app, specs))

    app.push_screen(SubmitScreen(app.runtime), written)


def _quick(app: ConsoleBase, _: ActionContext) -> None:
    _main(app).focus_quick_line()


def _open(app: ConsoleBase, now: ActionContext) -> None:
    from aios_tui.console.screens.task import TaskScreen

    if now.selected is not None:
        app.push_screen(TaskScreen(now.selected))


async def _cancel(app: ConsoleBase, now: ActionContext) -> None:
    if now.selected is None:
        return
    moved = _main(app).moved_selection()
    if moved is not None and now.selected == moved[1] and app.screen is _main(app):
        app.tell(f"#{moved[0]} has just left the list; press again to cancel #{moved[1]}", "warning")
        return
    if await app.runtime.kernel.cancel(now.selected):
        app.bridge.flush()
        app.tell(f"cancelled #{now.selected}")
    else:
        app.tell(f"#{now.selected} had ended already", "warning")


async def _retry(app: ConsoleBase, now: ActionContext) -> None:
    if now.selected is not None:
        new = await app.runtime.kernel.retry(now.selected)
        app.bridge.flush()
        app.tell(f"#{now.selected} is queued again, as #{new}")


def _copy(app: ConsoleBase, now: ActionContext) -> None:
    if now.selected is None:
        return
    result = app.view.result(now.selected)
    task = app.view.tasks.get(now.selected)
    what, text = ("result", result.result) if result else ("prompt", task.spec.prompt if task else "")
    app.copy_to_clipboard(text)
    app.tell(f"copied the {what} of #{now.selected}, {len(text):,} characters")


def _urgency(step: int) -> Operation:
    def change(app: ConsoleBase, now: ActionContext) -> None:
        task = app.view.tasks.get(now.selected or 0)
        if task is not None and app.runtime.kernel.reprioritise(task.id, task.priority + step):
            app.bridge.flush()
            app.tell(f"#{task.id} has priority {task.priority}")

    return change


def _hold(app: ConsoleBase, now: ActionContext) -> None:
    task = app.view.tasks.get(now.selected or 0)
    if task is None:
        return
    kernel, hold = app.runtime.kernel, not task.held
    if kernel.hold(task.id) if hold else kernel.release(task.id):
        app.bridge.flush()
        app.tell(f"#{task.id} is held; h releases it" if hold else f"#{task.id} is released")
    else:
        app.tell(f"#{task.id} has just started", "warning")


def _policy(app: ConsoleBase, now: ActionContext) -> None:
    """Between FIFO and the priority policy that was used last, its ageing included. Affinity stays as it is."""
    present = parse_policy(now.view.policy)
    if now.view.policy.partition(":")[0] == "fifo":
        wanted = app.priority_policy
    else:
        app.priority_policy, wanted = present.name, "fifo"
    use_policy(app, with_affinity_of(present, parse_policy(wanted)).name)


def _pause(app: ConsoleBase, now: ActionContext) -> None:
    kernel = app.runtime.kernel
    if now.view.kernel is KernelState.RUNNING:
        kernel.pause()
        app.tell("paused: running rounds end, no other begins; p goes on")
    else:
        kernel.resume()
        app.tell("going on")
    app.bridge.flush()


async def _drain(app: ConsoleBase, _: ActionContext) -> None:
    app.tell("draining: running tasks finish, no other begins; p goes on")
    await app.runtime.kernel.drain()
    if app.view.kernel is KernelState.DRAINING:
        app.tell("drained: nothing runs; p goes on")


def _restart(app: ConsoleBase, _: ActionContext) -> None:
    app.start()


async def _inspect(app: ConsoleBase, _: ActionContext) -> None:
    await app.runtime.kernel.inspect()
    app.bridge.flush()


def _filter(app: ConsoleBase, _: ActionContext) -> None:
    _main(app).open_filter()


def _zoom(app: ConsoleBase, _: ActionContext) -> None:
    _main(app).toggle_zoom()


def _escape(app: ConsoleBase, _: ActionContext) -> None:
    if app.draining:
        app.draining = False
        app.runtime.kernel.resume()
        app.bridge.flush()
        app.tell("staying: the scheduler goes on")
    else:
        _main(app).step_back()


def _agents(app: ConsoleBase, _: ActionContext) -> None:
    from aios_tui.console.screens.agents import AgentsScreen

    app.push_screen(AgentsScreen())


def _models(app: ConsoleBase, _: ActionContext) -> None:
    from aios_tui.console.screens.models import ModelsScreen

    app.push_screen(ModelsScreen())


def _pull_model(app: ConsoleBase, now: ActionContext) -> None:
    """Ask to pull the model that a task failed for want of."""
    from aios_tui.console.screens.models import ask_for_pull

    ask_for_pull(app, core=now.lacking_core, model=now.missing_model or "")


def _metrics(app: ConsoleBase, _: ActionContext) -> None:
    from aios_tui.console.screens.metrics import MetricsScreen

    app.push_screen(MetricsScreen())


def _theme(app: ConsoleBase, _: ActionContext) -> None:
    from aios_tui.console.screens.themes import ThemeScreen

    app.push_screen(ThemeScreen())


def _help(app: ConsoleBase, now: ActionContext) -> None:
    from aios_tui.console.screens.help import HelpScreen

    app.push_screen(HelpScreen(now.pane))


def _palette(app: ConsoleBase, _: ActionContext) -> None:
    app.action_command_palette()


async def _quit(app: ConsoleBase, now: ActionContext) -> None:
    if app.leaving:
        return
    if not now.live or not now.view.running:
        if not app.model_jobs.warn_before_leaving():
            app.leave()
        return
    from aios_tui.console.screens.quit import QuitScreen

    if isinstance(app.screen, QuitScreen):
        app.screen.action_choose("stop")  # pressed again: no more questions
        return
    choice = await app.push_screen_wait(QuitScreen())
    if choice == "stop":
        app.leave()
    elif choice == "drain":
        await _drain_and_leave(app)


async def _drain_and_leave(app: ConsoleBase) -> None:
    """Wait for the running tasks, saying how many are left; escape, or resuming, ends the wait and stays."""
    app.draining = True
    drained = asyncio.ensure_future(app.runtime.kernel.drain())
    try:
        while app.draining and not drained.done():
            app.tell(f"{_tasks(app.view.running)} running, leaving when done; esc stays, q again stops now")
            await asyncio.wait([drained], timeout=1.0)
            app.bridge.flush()
            if app.view.kernel is KernelState.RUNNING:
                app.draining = False
        if app.draining:
            app.leave()
    finally:
        app.draining = False
        drained.cancel()


def _pane(name: str) -> Operation:
    def go(app: ConsoleBase, _: ActionContext) -> None:
        _main(app).focus_pane(name)

    return go


def _turn(step: int) -> Operation:
    def go(app: ConsoleBase, _: ActionContext) -> None:
        _main(app).turn_pane(step)

    return go


OPERATIONS: dict[str, Operation] = {
    "new": _new,
    "quick": _quick,
    "open": _open,
    "cancel": _cancel,
    "retry": _retry,
    "copy": _copy,
    "more_urgent": _urgency(-1),
    "less_urgent": _urgency(+1),
    "hold": _hold,
    "policy": _policy,
    "pause": _pause,
    "drain": _drain,
    "restart": _restart,
    "inspect": _inspect,
    **workloads.OPERATIONS,
    "filter": _filter,
    "pane_queue": _pane("queue"),
    "pane_activity": _pane("activity"),
    "pane_results": _pane("results"),
    "next_pane": _turn(+1),
    "previous_pane": _turn(-1),
    "zoom": _zoom,
    "escape": _escape,
    "agents": _agents,
    "models": _models,
    "pull_model": _pull_model,
    "metrics": _metrics,
    "theme": _theme,
    "help": _help,
    "palette": _palette,
    "quit": _quit,
}
