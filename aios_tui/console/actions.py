"""The one table of what an operator can do.

Key bindings, the command palette, the footer, the help screen and the docs are all made from `ACTIONS`; nothing else
defines a key. An action that can't act says why: `why_not` returns one line, or None when it can.
What an action does stands in `operations.py`, under the same id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aios_tui.console.state.replay_view import ReplayView
from aios_tui.console.state.view_state import ViewState
from aios_tui.formatting.models import missing_model
from engine.task import LEAST_URGENT, MOST_URGENT, KernelState, TaskFault, TaskState

Pane = Literal["queue", "activity", "results"]
Group = Literal["Tasks", "Scheduling", "Workloads", "Moving", "View", "Program"]


@dataclass(frozen=True, slots=True)
class ActionContext:
    """Where the operator is: what `why_not` may look at. `selected` is a task id, `live` that there is a kernel.

    `replay` is the live replay that goes on, `recording` the name of the file that is recorded to.
    """

    view: ViewState
    pane: Pane = "queue"
    selected: int | None = None
    live: bool = False
    replay: ReplayView | None = None
    recording: str | None = None

    @property
    def selected_state(self) -> TaskState | None:
        if self.selected is None:
            return None
        task = self.view.tasks.get(self.selected)
        if task is not None:
            return task.state
        result = self.view.result(self.selected)
        return None if result is None else result.state

    @property
    def missing_model(self) -> str | None:
        """The model for lack of which the selected task failed."""
        return missing_model(self._fault)

    @property
    def lacking_core(self) -> str | None:
        """The core that the selected task failed on."""
        return None if self._fault is None else self._fault.core

    @property
    def _fault(self) -> TaskFault | None:
        result = None if self.selected is None else self.view.result(self.selected)
        return None if result is None else result.fault


UNSELECTED = "no task is selected here"
WhyNot = Callable[[ActionContext], str | None]


def _always(_: ActionContext) -> str | None:
    return None


def _needs_kernel(now: ActionContext) -> str | None:
    if now.live:
        return None
    return f"no core is running: {now.view.trouble}" if now.view.trouble else "the core is still starting"


def _can_write(now: ActionContext) -> str | None:
    """A task may be written while the core starts: it is submitted once that is up."""
    return _needs_kernel(now) if now.view.trouble else None


def _needs_selection(now: ActionContext) -> str | None:
    return None if now.selected is not None else UNSELECTED


def _policy_label(now: ActionContext) -> str:
    return "to NPPS" if now.view.policy.partition(":")[0] == "fifo" else "to FIFO"


def _pause_label(now: ActionContext) -> str:
    return "pause" if now.view.kernel in (None, KernelState.RUNNING) else "go on"


def _can_pause(now: ActionContext) -> str | None:
    return _needs_kernel(now) or ("the scheduler is stopped" if now.view.kernel is KernelState.STOPPED else None)


def _needs_unended(now: ActionContext) -> str | None:
    if reason := _needs_kernel(now) or _needs_selection(now):
        return reason
    if now.selected not in now.view.tasks:
        return f"#{now.selected} has ended already"
    return None


def _can_raise(now: ActionContext) -> str | None:
    if reason := _needs_unended(now):
        return reason
    task = now.view.tasks[now.selected or 0]
    return f"#{task.id} has the most urgent priority already" if task.priority <= MOST_URGENT else None


def _can_lower(now: ActionContext) -> str | None:
    if reason := _needs_unended(now):
        return reason
    task = now.view.tasks[now.selected or 0]
    return f"#{task.id} has the least urgent priority already" if task.priority >= LEAST_URGENT else None


def _can_hold(now: ActionContext) -> str | None:
    if reason := _needs_unended(now):
        return reason
    task = now.view.tasks[now.selected or 0]
    return None if task.state is TaskState.QUEUED else f"#{task.id} has started; only a queued task can be held"


def _hold_label(now: ActionContext) -> str:
    task = now.view.tasks.get(now.selected or 0)
    return "release" if task is not None and task.held else "hold"


def _can_retry(now: ActionContext) -> str | None:
    if reason := _needs_kernel(now) or _needs_selection(now):
        return reason
    return f"#{now.selected} has not ended yet" if now.selected in now.view.tasks else None


def _can_pull(now: ActionContext) -> str | None:
    if reason := _needs_kernel(now) or _needs_selection(now):
        return reason
    return None if now.missing_model else f"#{now.selected} did not fail for want of a model"


def _can_record(now: ActionContext) -> str | None:
    return None if now.recording is not None else _needs_kernel(now)


def _record_label(now: ActionContext) -> str:
    return "record" if now.recording is None else "end recording"


def _needs_replay(now: ActionContext) -> str | None:
    return None if now.replay is not None else "nothing is being replayed; w chooses a workload"


def _needs_arrivals(now: ActionContext) -> str | None:
    if now.replay is None:
        return _needs_replay(now)
    return f"all of {now.replay.name} has been sent" if now.replay.all_sent else None


def _replay_pause_label(now: ActionContext) -> str:
    return "replay on" if now.replay is not None and now.replay.paused else "pause replay"


def _can_restart(now: ActionContext) -> str | None:
    if now.live:
        return "the core is running"
    return None if now.view.trouble else "the core is still starting"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do.

    Attributes:
        keys: Textual key names; the first is the one shown. Empty: only in the palette.
        label: two or three words for the footer. description: one sentence for help, palette and docs.
        footer: place in the footer from the left, None when it isn't there.
        moves: a list's own key, which the list handles by itself; listed here for help and docs.
        says: what the label is just now, where that changes.
        offered: it stands in the footer only while it can act.
        pair: the id of the opposite action, shown together with this one in the footer.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    description: str
    group: Group
    why_not: WhyNot = _always
    footer: int | None = None
    moves: bool = False
    says: Callable[[ActionContext], str] | None = None
    pair: str = ""
    offered: bool = False

    def label_now(self, now: ActionContext) -> str:
        """The label for the footer, as it is just now."""
        return self.label if self.says is None else self.says(now)

    @property
    def command(self) -> str:
        """What the action is called in the command palette."""
        if self.id.startswith("pane_"):
            return f"Go to {self.label}"
        return "Back" if self.id == "escape" else self.id.replace("_", " ").capitalize()

    @property
    def shown_key(self) -> str:
        """The first key as people write it, such as `+` or `ctrl+p`."""
        return show_key(self.keys[0]) if self.keys else ""


_SHOWN = {
    "plus": "+", "minus": "-", "slash": "/", "question_mark": "?", "escape": "esc", "down": "↓", "up": "↑",
    "pagedown": "page down", "pageup": "page up", "G": "G", "shift+tab": "shift+tab", "equals_sign": "=",
    "less_than_sign": "<", "greater_than_sign": ">",
}  # fmt: skip


def show_key(key: str) -> str:
    """A Textual key name as people write it."""
    return _SHOWN.get(key, key)


ACTIONS: tuple[Action, ...] = (
    Action("new", ("n",), "new", "Write a new task in a form.", "Tasks", _can_write, 1),
    Action("quick", ("i",), "quick line", "Write a task in the line at the bottom.", "Tasks", _can_write, 10),
    Action("open", ("enter",), "open", "Open the selected task.", "Tasks", _needs_selection, 6),
    Action("cancel", ("x",), "cancel", "Cancel the selected task, queued or running.", "Tasks", _needs_unended, 5),
    Action("retry", ("r",), "retry", "Submit the selected ended task again, as a new one.", "Tasks", _can_retry, 8),
    Action("copy", ("y",), "copy", "Copy the selected task's result, or its prompt.", "Tasks", _needs_selection, 11),
    Action("more_urgent", ("plus", "equals_sign"), "urgency", "Make the selected task one level more urgent.", "Tasks",
           _can_raise, 4, pair="less_urgent"),
    Action("less_urgent", ("minus",), "less", "Make the selected task one level less urgent.", "Tasks", _can_lower),
    Action("hold", ("h",), "hold", "Hold the selected queued task, so that it is not dispatched, or release it.",
           "Tasks", _can_hold, 9, says=_hold_label),
    Action("pull_model", ("F",), "pull model", "Pull the model for want of which the selected task failed.", "Tasks",
           _can_pull, 3, offered=True),
    Action("policy", ("s",), "policy", "Switch between FIFO and NPPS; what is ready is ordered anew.", "Scheduling",
           _needs_kernel, 2, says=_policy_label),
    Action("pause", ("p",), "pause", "Pause the scheduler, or let it go on. Running rounds end by themselves.",
           "Scheduling", _can_pause, 3, says=_pause_label),
    Action("drain", (), "drain", "Start no further task and let the running ones finish.", "Scheduling", _can_pause),
    Action("restart", (), "start core", "Try again to start the core.", "Scheduling", _can_restart),
    Action("inspect", (), "look at cores", "Ask the cores for their health and models now.", "Scheduling",
           _needs_kernel),
    Action("workloads", ("w",), "replay", "Choose a workload, to replay it into this kernel or to simulate it.",
           "Workloads", _always, 7),
    Action("record", ("R",), "record", "Record what is submitted into a workload file, or end that.", "Workloads",
           _can_record, 13, says=_record_label),
    Action("compare", ("c",), "compare", "Compare kept runs: figures side by side, and plots.", "Workloads", _always,
           12),
    Action("replay_pause", ("P",), "pause replay", "Pause the replay, or let it go on; what was sent goes on.",
           "Workloads", _needs_arrivals, says=_replay_pause_label),
    Action("replay_step", ("N",), "next arrival", "Send the replay's next arrival now, and pause it.", "Workloads",
           _needs_arrivals),
    Action("replay_slower", ("less_than_sign",), "slower", "Replay slower.", "Workloads", _needs_arrivals),
    Action("replay_faster", ("greater_than_sign",), "faster", "Replay faster, in the end as fast as it goes.",
           "Workloads", _needs_arrivals),
    Action("replay_stop", ("X",), "stop replay", "End the replay; tasks that were sent stay.", "Workloads",
           _needs_replay),
    Action("filter", ("slash",), "filter", "Show only lines that contain a text, in this pane.", "View", _always, 9),
    Action("pane_queue", ("1",), "queue", "Go to the queue.", "Moving"),
    Action("pane_activity", ("2",), "activity", "Go to the activity pane.", "Moving"),
    Action("pane_results", ("3",), "results", "Go to the results.", "Moving"),
    Action("next_pane", ("tab",), "next pane", "Go to the next pane.", "Moving"),
    Action("previous_pane", ("shift+tab",), "previous pane", "Go to the pane before.", "Moving"),
    Action("down", ("j", "down"), "down", "One line down.", "Moving", moves=True),
    Action("up", ("k", "up"), "up", "One line up.", "Moving", moves=True),
    Action("top", ("g", "home"), "first", "The first line.", "Moving", moves=True),
    Action("bottom", ("G", "end"), "last", "The last line.", "Moving", moves=True),
    Action("page_down", ("pagedown", "ctrl+f"), "page down", "A page down.", "Moving", moves=True),
    Action("page_up", ("pageup", "ctrl+b"), "page up", "A page up.", "Moving", moves=True),
    Action("zoom", ("z",), "zoom", "Give the focused pane the whole screen, or take it back.", "View", _always, 14),
    Action("agents", ("a",), "agents", "See the agents: what each does, and how it has done so far.", "View"),
    Action("models", ("m",), "models", "See the cores' models: pull, load, unload and delete them.", "View",
           _always, 15),
    Action("metrics", ("M",), "metrics", "See queue, waiting, throughput, tokens and utilisation over time, from the "
           "history.", "View", _always, 14),
    Action("theme", ("t",), "theme", "Choose a colour theme.", "View", _always, 15),
    Action("help", ("question_mark",), "help", "Keys and words of this view.", "View", _always, 16),
    Action("escape", ("escape",), "back", "Leave the quick line or the filter, clear the filter, end the zoom.",
           "View"),
    Action("palette", ("ctrl+p",), "commands", "Find any action by name.", "Program", _always, 18),
    Action("quit", ("q", "ctrl+c", "ctrl+q"), "quit", "Leave; asks first while tasks run.", "Program", _always, 17),
)  # fmt: skip

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}

POLICIES: tuple[tuple[str, str], ...] = (
    ("fifo", "FIFO: first in, first out"),
    ("npps", "NPPS: strictly by priority"),
    ("fifo:affinity=8", "FIFO, but a task may be passed 8 times by what needs no other model loaded"),
    ("npps:affinity=8", "NPPS, with the same affinity: never before what is more urgent"),
    ("npps:ageing=15", "NPPS, 15 s of waiting make up for one level"),
    ("npps:ageing=60", "NPPS, a minute of waiting makes up for one level"),
    ("npps:ageing=300", "NPPS, five minutes of waiting make up for one level"),
)
"""The policies that the command palette offers, with what to say of each."""
