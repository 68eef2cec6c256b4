"""The state that decides which actions are available, and the checks on it.

An availability check takes an `ActionContext` and returns one line with the reason why the action can't run now, or
None when it can. Labels that change with the state are made here, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aios_tui.console.state.replay_view import ReplayView
from aios_tui.console.state.view_state import TaskView, ViewState
from aios_tui.formatting.models import missing_model
from engine.task import LEAST_URGENT, MOST_URGENT, KernelState, TaskFault, TaskState

Pane = Literal["queue", "activity", "results"]


@dataclass(frozen=True, slots=True)
class ActionContext:
    """The console's state as the availability checks see it.

    Attributes:
        selected: id of the selected task. live: True while there is a kernel.
        replay: the live replay in progress. recording: name of the file being recorded to.
    """

    view: ViewState
    pane: Pane = "queue"
    selected: int | None = None
    live: bool = False
    replay: ReplayView | None = None
    recording: str | None = None

    @property
    def missing_model(self) -> str | None:
        """The model that was missing when the selected task failed."""
        return missing_model(self._fault)

    @property
    def lacking_core(self) -> str | None:
        """The core that reported it missing, if known."""
        return None if self._fault is None else self._fault.core

    @property
    def _fault(self) -> TaskFault | None:
        result = self.view.result(self.selected or 0)
        return None if result is None else result.fault


UNSELECTED = "no task is selected here"
WhyNot = Callable[[ActionContext], str | None]


def always(_: ActionContext) -> str | None:
    return None


def needs_kernel(context: ActionContext) -> str | None:
    if context.live:
        return None
    trouble = context.view.trouble
    return f"no core is running: {trouble}" if trouble else "the core is still starting"


def can_write(context: ActionContext) -> str | None:
    """A task may be written while the core starts: it is submitted once the core is up."""
    return needs_kernel(context) if context.view.trouble else None


def needs_selection(context: ActionContext) -> str | None:
    return None if context.selected is not None else UNSELECTED


def can_pause(context: ActionContext) -> str | None:
    if reason := needs_kernel(context):
        return reason
    return "the scheduler is stopped" if context.view.kernel is KernelState.STOPPED else None


def needs_unfinished(context: ActionContext) -> str | None:
    if reason := needs_kernel(context) or needs_selection(context):
        return reason
    return None if context.selected in context.view.tasks else f"#{context.selected} has already ended"


def _task_that(wrong: Callable[[TaskView], bool], reason: str) -> WhyNot:
    """Return the check of an unfinished task that must not be `wrong`; `reason` follows its id."""

    def why_not(context: ActionContext) -> str | None:
        if unable := needs_unfinished(context):
            return unable
        task = context.view.tasks[context.selected or 0]
        return f"#{task.id} {reason}" if wrong(task) else None

    return why_not


can_raise = _task_that(lambda task: task.priority <= MOST_URGENT, "already has the most urgent priority")
can_lower = _task_that(lambda task: task.priority >= LEAST_URGENT, "already has the least urgent priority")
can_hold = _task_that(lambda task: task.state is not TaskState.QUEUED, "has started; only a queued task can be held")


def can_retry(context: ActionContext) -> str | None:
    if reason := needs_kernel(context) or needs_selection(context):
        return reason
    return f"#{context.selected} has not ended yet" if context.selected in context.view.tasks else None


def can_pull(context: ActionContext) -> str | None:
    if reason := needs_kernel(context) or needs_selection(context):
        return reason
    return None if context.missing_model else no_model_missing(context.selected)


def no_model_missing(task: int | None) -> str:
    """The reason why there is no model to pull for a task."""
    return f"#{task} did not fail because of a missing model"


def can_record(context: ActionContext) -> str | None:
    return None if context.recording is not None else needs_kernel(context)


def needs_replay(context: ActionContext) -> str | None:
    return None if context.replay is not None else "no replay is running; w chooses a workload"


def needs_arrivals(context: ActionContext) -> str | None:
    if context.replay is None:
        return needs_replay(context)
    return f"all tasks of {context.replay.name} have been sent" if context.replay.all_sent else None


def can_restart(context: ActionContext) -> str | None:
    if context.live:
        return "the core is running"
    return None if context.view.trouble else "the core is still starting"


# Labels that change


def policy_label(context: ActionContext) -> str:
    policy = context.view.policy.partition(":")[0]
    return {"": "policy", "fifo": "to NPPS"}.get(policy, "to FIFO")


def pause_label(context: ActionContext) -> str:
    return "pause" if context.view.kernel in (None, KernelState.RUNNING) else "resume"


def hold_label(context: ActionContext) -> str:
    task = context.view.tasks.get(context.selected or 0)
    return "release" if task is not None and task.held else "hold"


def record_label(context: ActionContext) -> str:
    return "record" if context.recording is None else "stop recording"


def replay_pause_label(context: ActionContext) -> str:
    return "resume replay" if context.replay is not None and context.replay.paused else "pause replay"
