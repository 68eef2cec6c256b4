"""The handlers of the main screen's actions, by action id. Each is called only when its action is available.

A handler that waits is a coroutine function, which the app runs as a worker; an AiosError in it becomes a notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, cast

from aios_tui.console.action_context import ActionContext
from aios_tui.console.handlers import workloads
from engine.errors import AiosError
from engine.scheduling import parse_policy, with_affinity_of
from engine.store import Recovery
from engine.task import KernelState, TaskSpec
from engine.wording import plural

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase
    from aios_tui.console.screens.main import MainScreen

Operation = Callable[["ConsoleBase", ActionContext], Awaitable[None] | None]


def main_screen(app: ConsoleBase) -> MainScreen:
    """The main screen, also while another screen covers it."""
    return cast("MainScreen", app.screen_stack[0])


def recovery_summary(recovery: Recovery) -> str:
    """Describe in one line the tasks recovered from an earlier run; empty if there are none."""
    parts = []
    if recovery.queued:
        parts.append(f"{plural(len(recovery.queued), 'task')} of an earlier run queued again")
    if held := sum(task.held for task in recovery.queued):
        parts.append("held" if len(recovery.queued) == 1 else f"{held:,} of them held")
    if recovery.interrupted:
        parts.append(f"{len(recovery.interrupted):,} had been interrupted")
    if recovery.failed:
        parts.append(f"{plural(len(recovery.failed), 'task')} failed: interrupted too often")
    return ", ".join(parts)


async def submit(app: ConsoleBase, specs: list[TaskSpec]) -> None:
    """Submit tasks and show their ids; while the core starts, wait for it first. Raises AiosError."""
    if not app.live:
        app.notify("the core is still starting; your task is submitted once it is up")
        await app.started.wait()
    ids = await app.runtime.kernel.submit_many(specs)
    app.bridge.flush()
    if len(ids) == 1:
        app.notify(f"#{ids[0]} is queued")
    elif ids:
        app.notify(f"#{ids[0]} to #{ids[-1]} are queued")


def use_policy(app: ConsoleBase, policy: str) -> None:
    """Switch to a policy by name, from the palette."""
    if not app.live:
        app.notify("no core is running, so there is nothing to schedule", severity="warning")
        return
    try:
        app.runtime.kernel.switch_policy(policy)
    except AiosError as error:
        app.notify(str(error), severity="error")
        return
    app.bridge.flush()
    app.notify(f"policy {policy}: {plural(app.view.order.ready, 'ready task')} reordered")


# Tasks


def _new_task(app: ConsoleBase, _: ActionContext) -> None:
    """Open the form at once, not in the background: keys typed right after this one belong into it."""
    from aios_tui.console.screens.submit import SubmitScreen

    def on_close(specs: list[TaskSpec] | None) -> None:
        if specs:
            app.carry_out(partial(submit, app, specs))

    app.push_screen(SubmitScreen(app.runtime), on_close)


def _open_task(app: ConsoleBase, context: ActionContext) -> None:
    from aios_tui.console.screens.task import TaskScreen

    if context.selected is not None:
        app.push_screen(TaskScreen(context.selected))


async def _cancel(app: ConsoleBase, context: ActionContext) -> None:
    if context.selected is None:
        return
    main = main_screen(app)
    moved = main.moved_selection()
    if moved is not None and context.selected == moved[1] and app.screen is main:
        text = f"#{moved[0]} has just left the list; press again to cancel #{moved[1]}"
        app.notify(text, severity="warning")
        return
    if await app.runtime.kernel.cancel(context.selected):
        app.bridge.flush()
        app.notify(f"cancelled #{context.selected}")
    else:
        app.notify(f"#{context.selected} had already ended", severity="warning")


async def _retry(app: ConsoleBase, context: ActionContext) -> None:
    if context.selected is not None:
        new = await app.runtime.kernel.retry(context.selected)
        app.bridge.flush()
        app.notify(f"#{context.selected} is queued again, as #{new}")


def _copy(app: ConsoleBase, context: ActionContext) -> None:
    if context.selected is None:
        return
    result = app.view.result(context.selected)
    task = app.view.tasks.get(context.selected)
    kind, text = ("result", result.text) if result else ("prompt", task.spec.prompt if task else "")
    app.copy_to_clipboard(text)
    app.notify(f"copied the {kind} of #{context.selected}, {plural(len(text), 'character')}")


def _change_priority(step: int) -> Operation:
    def change(app: ConsoleBase, context: ActionContext) -> None:
        task = app.view.tasks.get(context.selected or 0)
        if task is not None and app.runtime.kernel.reprioritise(task.id, task.priority + step):
            app.bridge.flush()
            app.notify(f"#{task.id} now has priority {task.priority}")

    return change


def _hold_or_release(app: ConsoleBase, context: ActionContext) -> None:
    task = app.view.tasks.get(context.selected or 0)
    if task is None:
        return
    kernel, hold = app.runtime.kernel, not task.held
    if kernel.hold(task.id) if hold else kernel.release(task.id):
        app.bridge.flush()
        app.notify(f"#{task.id} is held; h releases it" if hold else f"#{task.id} is released")
    else:
        app.notify(f"#{task.id} has just started", severity="warning")


def _pull_missing_model(app: ConsoleBase, context: ActionContext) -> None:
    from aios_tui.console.screens.models import ask_for_pull

    ask_for_pull(app, core=context.lacking_core, model=context.missing_model or "")


# Scheduling


def _switch_policy(app: ConsoleBase, context: ActionContext) -> None:
    """Switch between FIFO and the last used priority policy with its ageing. Affinity stays as it is."""
    present = parse_policy(context.view.policy)
    if context.view.policy.partition(":")[0] == "fifo":
        wanted = app.priority_policy
    else:
        app.priority_policy, wanted = present.name, "fifo"
    use_policy(app, with_affinity_of(present, parse_policy(wanted)).name)


def _pause_or_resume(app: ConsoleBase, context: ActionContext) -> None:
    kernel = app.runtime.kernel
    if context.view.kernel is KernelState.RUNNING:
        kernel.pause()
        app.notify("paused: running rounds finish, no new ones start; p resumes")
    else:
        kernel.resume()
        app.notify("resumed")
    app.bridge.flush()


async def _drain(app: ConsoleBase, _: ActionContext) -> None:
    app.notify("draining: running tasks finish, no new ones start; p resumes")
    await app.runtime.kernel.drain()
    if app.view.kernel is KernelState.DRAINING:
        app.notify("drained: no task is running; p resumes")


async def _refresh_cores(app: ConsoleBase, _: ActionContext) -> None:
    await app.runtime.kernel.inspect()
    app.bridge.flush()


# Panes and screens


def opening(module: str, screen: str) -> Operation:
    """Return a handler that opens a screen; its module is imported on first use, which keeps the start quick."""

    def open_screen(app: ConsoleBase, _: ActionContext) -> None:
        app.push_screen(getattr(import_module(f"aios_tui.console.screens.{module}"), screen)())

    return open_screen


def _back(app: ConsoleBase, _: ActionContext) -> None:
    if app.draining:
        app.draining = False
        app.runtime.kernel.resume()
        app.bridge.flush()
        app.notify("staying: the scheduler is resumed")
    else:
        main_screen(app).step_back()


def _open_help(app: ConsoleBase, context: ActionContext) -> None:
    from aios_tui.console.screens.base import ConsoleScreen
    from aios_tui.console.screens.help import HelpScreen

    screen = app.screen
    if isinstance(screen, ConsoleScreen) and not isinstance(screen, HelpScreen):
        app.push_screen(HelpScreen(screen.SCOPE, context.pane))


# Quitting


async def _quit(app: ConsoleBase, context: ActionContext) -> None:
    if app.leaving:
        return
    if not context.live or not context.view.running:
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
    """Wait for the running tasks, showing how many are left; escape, or resuming, ends the wait and stays."""
    app.draining = True
    drained = asyncio.ensure_future(app.runtime.kernel.drain())
    try:
        while app.draining and not drained.done():
            left = plural(app.view.running, "task")
            app.notify(f"{left} running; quits when done, esc stays, q again quits now")
            await asyncio.wait([drained], timeout=1.0)
            app.bridge.flush()
            if app.view.kernel is KernelState.RUNNING:
                app.draining = False
        if app.draining:
            app.leave()
    finally:
        app.draining = False
        drained.cancel()


OPERATIONS: dict[str, Operation] = {
    "new": _new_task,
    "quick": lambda app, _: main_screen(app).begin_typing(),
    "open": _open_task,
    "cancel": _cancel,
    "retry": _retry,
    "copy": _copy,
    "more_urgent": _change_priority(-1),
    "less_urgent": _change_priority(+1),
    "hold": _hold_or_release,
    "pull_model": _pull_missing_model,
    "policy": _switch_policy,
    "pause": _pause_or_resume,
    "drain": _drain,
    "restart": lambda app, _: app.start(),
    "refresh": _refresh_cores,
    "compare": opening("compare", "CompareScreen"),
    **workloads.OPERATIONS,
    "filter": lambda app, _: main_screen(app).open_filter(),
    "pane_1": lambda app, _: main_screen(app).focus_pane("queue"),
    "pane_2": lambda app, _: main_screen(app).focus_pane("activity"),
    "pane_3": lambda app, _: main_screen(app).focus_pane("results"),
    "next_pane": lambda app, _: main_screen(app).cycle_pane(+1),
    "previous_pane": lambda app, _: main_screen(app).cycle_pane(-1),
    "zoom": lambda app, _: main_screen(app).toggle_zoom(),
    "back": _back,
    "agents": opening("agents", "AgentsScreen"),
    "models": opening("models", "ModelsScreen"),
    "metrics": opening("metrics", "MetricsScreen"),
    "theme": opening("themes", "ThemeScreen"),
    "help": _open_help,
    "palette": lambda app, _: app.action_command_palette(),
    "leave": _quit,
    "quit": _quit,
}
