"""Every key of the console, declared once.

An `Action` is one thing an operator can do, with its keys, label and description. `MAIN` holds those of the main screen
in the order of footer, help and palette; `ELSEWHERE` those that only other screens have. `screen_keys.py` lists which
actions each screen offers; from both tables come all key bindings, the footer, the hint lines, the help, the command
palette and docs/keys.md. No other module names a key, so a key means one thing on all screens: tests/…/test_actions.py
fails where two actions share a key, and where screens describe an action in different ways without a common meaning in
`MEANINGS`. While text is typed keys have other meanings; those are `INPUT`.

What an action of the main screen does is in `handlers/`, under the same id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aios_tui.console import action_context as when
from aios_tui.console.action_context import ActionContext, WhyNot

Group = Literal["Tasks", "Scheduling", "Workloads", "Moving", "View", "Program"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing an operator can do.

    Attributes:
        keys: Textual key names; the first is shown. Empty: only in the palette.
        label: two or three words for the footer. description: one sentence for help, palette and docs.
        why_not: returns the reason why the action can't run now, or None.
        title: its name in the palette; empty: it is not offered there.
        footer: position in the footer from the left, None if it is not shown there.
        moves: a list handles this key itself; it is declared for help and docs.
        current_label: returns the label in the present state, where it changes.
        offered: the footer shows it only while it is available.
        pair: id of the opposite action, shown together with this one in the footer.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    description: str
    group: Group = "View"
    why_not: WhyNot = when.always
    footer: int | None = None
    title: str = ""
    moves: bool = False
    current_label: Callable[[ActionContext], str] | None = None
    pair: str = ""
    offered: bool = False

    def label_now(self, context: ActionContext) -> str:
        """The footer label in the present state."""
        return self.label if self.current_label is None else self.current_label(context)

    @property
    def shown_key(self) -> str:
        """The first key as people write it, such as `+` or `ctrl+p`."""
        return show_key(self.keys[0]) if self.keys else ""

    @property
    def shown_keys(self) -> tuple[str, ...]:
        """All keys as people write them."""
        return tuple(show_key(key) for key in self.keys)


_SHOWN = {
    "plus": "+", "minus": "-", "slash": "/", "question_mark": "?", "escape": "esc", "down": "↓", "up": "↑",
    "left": "←", "right": "→", "pagedown": "page down", "pageup": "page up", "equals_sign": "=", "asterisk": "*",
    "less_than_sign": "<", "greater_than_sign": ">", "left_square_bracket": "[", "right_square_bracket": "]",
}  # fmt: skip


def show_key(key: str) -> str:
    """Return a Textual key name as people write it."""
    return _SHOWN.get(key, key)


MAIN: tuple[Action, ...] = (
    Action("new", ("n",), "new", "Write a new task in a form.", "Tasks", when.can_write, 1, "New task"),
    Action("quick", ("i",), "quick line", "Write a task in the line at the bottom.", "Tasks", when.can_write, 10,
           "Quick line"),
    Action("open", ("enter",), "open", "Open the selected task.", "Tasks", when.needs_selection, 6, "Open task"),
    Action("cancel", ("x",), "cancel", "Cancel the selected task, queued or running.", "Tasks", when.needs_unfinished,
           5, "Cancel task"),
    Action("retry", ("r",), "retry", "Submit the selected ended task again, as a new task.", "Tasks", when.can_retry,
           8, "Retry task"),
    Action("copy", ("y",), "copy", "Copy the selected task's result, or its prompt.", "Tasks", when.needs_selection,
           11, "Copy result"),
    Action("more_urgent", ("plus", "equals_sign"), "urgency", "Make the selected task one level more urgent.", "Tasks",
           when.can_raise, 4, "More urgent", pair="less_urgent"),
    Action("less_urgent", ("minus",), "less", "Make the selected task one level less urgent.", "Tasks",
           when.can_lower, title="Less urgent"),
    Action("hold", ("h",), "hold", "Hold the selected queued task, so that it is not dispatched, or release it.",
           "Tasks", when.can_hold, 9, "Hold or release task", current_label=when.hold_label),
    Action("pull_model", ("F",), "pull model", "Pull the model that was missing when the selected task failed.",
           "Tasks", when.can_pull, 3, "Pull missing model", offered=True),
    Action("policy", ("s",), "policy", "Switch between FIFO and NPPS; the queue is reordered at once.", "Scheduling",
           when.needs_kernel, 2, "Switch policy", current_label=when.policy_label),
    Action("pause", ("p",), "pause", "Pause the scheduler, or resume it. Rounds that are running finish.",
           "Scheduling", when.can_pause, 3, "Pause or resume scheduler", current_label=when.pause_label),
    Action("drain", ("D",), "drain", "Start no more tasks and let the running ones finish.", "Scheduling",
           when.can_pause, title="Drain scheduler"),
    Action("restart", (), "start core", "Try to start the core again.", "Scheduling", when.can_restart,
           title="Start core"),
    Action("refresh", ("ctrl+r", "f5"), "refresh", "Ask the cores for their health and models now.", "Scheduling",
           when.needs_kernel, title="Refresh cores"),
    Action("workloads", ("w",), "workloads", "Choose a workload, to replay it into this kernel or to simulate it.",
           "Workloads", footer=7, title="Workloads"),
    Action("record", ("R",), "record", "Record submitted tasks to a workload file, or stop recording.", "Workloads",
           when.can_record, 13, "Record or stop recording", current_label=when.record_label),
    Action("compare", ("c",), "compare", "Compare saved runs: numbers side by side, and plots.", "Workloads",
           footer=12, title="Compare runs"),
    Action("replay_pause", ("P",), "pause replay", "Pause the replay, or resume it; tasks already sent run on.",
           "Workloads", when.needs_arrivals, title="Pause or resume replay", current_label=when.replay_pause_label),
    Action("replay_step", ("N",), "next arrival", "Send the replay's next arrival now, and pause the replay.",
           "Workloads", when.needs_arrivals, title="Send next arrival"),
    Action("replay_slower", ("less_than_sign",), "slower", "Replay slower.", "Workloads", when.needs_arrivals,
           title="Slower replay"),
    Action("replay_faster", ("greater_than_sign",), "faster", "Replay faster, up to full speed.", "Workloads",
           when.needs_arrivals, title="Faster replay"),
    Action("replay_stop", ("X",), "stop replay", "Stop the replay; tasks already sent stay.", "Workloads",
           when.needs_replay, title="Stop replay"),
    Action("filter", ("slash",), "filter", "Show only the lines of this pane that contain a text.", footer=9,
           title="Filter pane"),
    Action("pane_1", ("1",), "queue", "Go to the queue pane.", "Moving", title="Queue pane"),
    Action("pane_2", ("2",), "activity", "Go to the activity pane.", "Moving", title="Activity pane"),
    Action("pane_3", ("3",), "results", "Go to the results pane.", "Moving", title="Results pane"),
    Action("next_pane", ("tab",), "next pane", "Go to the next pane.", "Moving", title="Next pane"),
    Action("previous_pane", ("shift+tab",), "previous pane", "Go to the previous pane.", "Moving",
           title="Previous pane"),
    Action("down", ("j", "down"), "down", "One line down.", "Moving", moves=True),
    Action("up", ("k", "up"), "up", "One line up.", "Moving", moves=True),
    Action("top", ("g", "home"), "first", "To the first line.", "Moving", moves=True),
    Action("bottom", ("G", "end"), "last", "To the last line.", "Moving", moves=True),
    Action("page_down", ("pagedown", "ctrl+f"), "page down", "One page down.", "Moving", moves=True),
    Action("page_up", ("pageup", "ctrl+b"), "page up", "One page up.", "Moving", moves=True),
    Action("zoom", ("z",), "zoom", "Zoom the focused pane to the whole screen, or back.", footer=14, title="Zoom pane"),
    Action("agents", ("a",), "agents", "Show the agents: rounds, prompts and statistics of each.", title="Agents"),
    Action("models", ("m",), "models", "Show the cores' models: pull, load, unload and delete them.", footer=15,
           title="Models"),
    Action("metrics", ("M",), "metrics", "Show queue length, waiting, throughput, tokens and utilisation over time.",
           footer=14, title="Metrics"),
    Action("theme", ("t",), "theme", "Choose a colour theme.", footer=15, title="Colour theme"),
    Action("help", ("question_mark", "f1"), "help", "Show the keys of this screen.", footer=16, title="Help"),
    Action("back", ("escape",), "back", "Leave the quick line or the filter, clear the filter, end the zoom.",
           title="Back"),
    Action("palette", ("ctrl+p",), "commands", "Find any action by name.", "Program", footer=18),
    Action("leave", ("q",), "quit", "Quit; asks first while tasks are running.", "Program", footer=17),
    Action("quit", ("ctrl+c", "ctrl+q"), "quit", "Quit, on every screen; asks first while tasks are running.",
           "Program", title="Quit"),
)  # fmt: skip

ELSEWHERE: tuple[Action, ...] = (
    Action("export", ("o",), "export", "Write the task to a Markdown file."),
    Action("fold", ("f",), "fold", "Show or hide the prompts and thinking of all rounds."),
    Action("previous", ("left_square_bracket",), "previous", "Show the previous one."),
    Action("next", ("right_square_bracket",), "next", "Show the next one."),
    Action("simulate", ("v",), "simulate", "Simulate the workload in virtual time under FIFO, NPPS and NPPS with "
           "ageing, and compare them."),
    Action("edit", ("e",), "edit", "Type a value."),
    Action("toggle", ("space",), "select", "Select the line, or deselect it."),
    Action("delete", ("d",), "delete", "Delete the selected line, after a confirmation."),
    Action("load", ("l",), "load", "Load the model into memory now."),
    Action("unload", ("u",), "unload", "Unload the model from memory now."),
    Action("default", ("asterisk",), "default", "Use the model for tasks that name none, until the program ends."),
    Action("left", ("left",), "left", "To the left."),
    Action("right", ("right",), "right", "To the right."),
    Action("pane_4", ("4",), "pane 4", "Go to pane 4."),
    Action("pane_5", ("5",), "pane 5", "Go to pane 5."),
    Action("pane_6", ("6",), "pane 6", "Go to pane 6."),
    Action("submit", ("ctrl+s",), "submit", "Submit what was written."),
)  # fmt: skip

INPUT: tuple[Action, ...] = (
    Action("complete", ("tab",), "complete", "Complete the agent or model name."),
    Action("complete_right", ("right",), "complete", "Complete the name, at the end of the line."),
    Action("older", ("up",), "older", "The previous entry of the history."),
    Action("newer", ("down",), "newer", "The next entry of the history."),
    Action("close_choices", ("escape",), "close", "Close the list of names."),
    Action("level", tuple("0123456789"), "level", "Choose this priority."),
)
"""Keys of input fields, where letters are typed: the only ones that may mean something else on a screen."""

MEANINGS: dict[str, str] = {
    "open": "Open the selected line, or do with it what the screen is for.",
    "back": "Go back one step; a question is answered with no.",
    "leave": "Leave the screen or window in front; on the main screen, and in its window that asks, the program.",
    "quit": "Quit the program.",
    "help": "Open the help, or close it.",
    "quick": "Type in the input line at the bottom.",
    "cancel": "Cancel what the selected line is doing: a task, a pull or a load.",
    "retry": "Submit the ended task again.",
    "copy": "Copy the task's text.",
    "more_urgent": "Make the task more urgent.",
    "less_urgent": "Make the task less urgent.",
    "hold": "Hold the task, or release it.",
    "pull_model": "Pull a model.",
    "delete": "Delete the selected line; asked for a second time.",
    "toggle": "Switch the selection or setting on or off.",
    "drain": "Let running tasks finish and start no more.",
    "refresh": "Read the shown data again.",
    "workloads": "Open the workloads.",
    "agents": "Open the agents, or close them.",
    "models": "Open the models, or close them.",
    "metrics": "Open the metrics, or close them.",
    "theme": "Open the theme picker, or close it.",
    "replay_slower": "A slower replay.",
    "replay_faster": "A faster replay.",
    "zoom": "Enlarge one pane, or show all.",
    "previous": "Show the previous one without going back to the list.",
    "next": "Show the next one without going back to the list.",
    **{f"pane_{n}": f"Go to pane {n}." for n in (1, 2, 3)},
    "next_pane": "Go to the next pane or field.",
    "previous_pane": "Go to the previous pane or field.",
    "down": "One down.",
    "up": "One up.",
    "left": "To the left: text, or the choice in a row.",
    "right": "To the right: text, or the choice in a row.",
}
"""The one meaning of each action that screens describe in different ways; docs/keys.md opens with them."""

BY_ID: dict[str, Action] = {action.id: action for action in (*MAIN, *ELSEWHERE, *INPUT)}

POLICIES: tuple[tuple[str, str], ...] = (
    ("fifo", "FIFO: first in, first out"),
    ("npps", "NPPS: strictly by priority"),
    ("fifo:affinity=8", "FIFO, but a task may be passed up to 8 times by tasks whose model is already loaded"),
    ("npps:affinity=8", "NPPS with the same affinity: a task never passes a more urgent one"),
    ("npps:ageing=15", "NPPS; 15 s of waiting raise a task by one level"),
    ("npps:ageing=60", "NPPS; one minute of waiting raises a task by one level"),
    ("npps:ageing=300", "NPPS; five minutes of waiting raise a task by one level"),
)
"""The policies that the command palette offers, each with its description."""
