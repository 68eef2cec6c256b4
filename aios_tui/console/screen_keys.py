"""The actions each screen offers, and the key bindings made from them.

A `Use` is an action on one screen: the Textual action that runs it, and its label and description where they differ
from the action's own. The order is the one of the help; uses with `hint` are in the screen's hint line, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType

from aios_tui.console.actions import BY_ID, MAIN, Action

Scope = Literal[
    "main", "task", "models", "workloads", "compare", "metrics", "agents", "themes", "help", "model", "quit",
    "delete model", "pull", "export", "form", "quick line", "priority", "app", "lines", "choices",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """An action on one screen.

    Attributes:
        run: the Textual action that carries it out; empty where the focused widget handles the key itself.
        hint: True if the hint line shows it. keys: the keys as the hint line shows them.
        priority: True to take the key before the focused widget does, and before a window in front.
        only: the Textual keys to bind, if not all of the action's.
    """

    action: Action
    run: str
    label: str
    description: str
    hint: bool
    keys: str
    priority: bool
    only: str


def _own(
    id: str,
    description: str = "",
    label: str = "",
    *,
    run: str | None = None,
    hint: bool = False,
    keys: str = "",
    priority: bool = False,
    only: str = "",
) -> Use:
    """A use that the screen carries out itself, by its method `action_<id>` unless `run` names another."""
    action = BY_ID[id]
    return Use(
        action,
        run if run is not None else f"move('{id}')" if action.moves else id,
        label or action.label,
        description or action.description,
        hint,
        keys or action.shown_key,
        priority,
        only,
    )


def _shared(id: str, description: str = "", label: str = "", *, hint: bool = False) -> Use:
    """A use that the console carries out, as on the main screen."""
    return _own(id, description, label, run=f"act('{id}')", hint=hint)


def _handled(id: str, description: str = "", label: str = "") -> Use:
    """A use whose key the focused widget handles."""
    return _own(id, description, label, run="")


BACK = _own("back", "Back.", "back", run="leave", hint=True)
LEAVE = _own("leave", "Back.", "back", run="leave")
HELP = _shared("help", hint=True)
GENERAL = (_shared("theme"), LEAVE, HELP)
MOVES = tuple(_own(action.id) for action in MAIN if action.moves)
LIST_MOVES = tuple(_handled(action.id) for action in MAIN if action.moves)


def _closed_by(id: str) -> Use:
    """The key that opened a screen closes it, too."""
    return _own(id, "Back.", "back", run="leave")


def _panes(*names: str) -> tuple[Use, ...]:
    return tuple(
        _own(f"pane_{n}", f"Go to the {name}.", name, run=f"pane({n})", hint=len(names) == 3)
        for n, name in enumerate(names, 1)
    )


SCREENS: dict[Scope, tuple[Use, ...]] = {
    "main": tuple(
        _own(action.id, run="" if action.moves or action.id == "palette" else f"app.act('{action.id}')")
        for action in MAIN
    ),
    "task": (
        BACK,
        _own("copy", "Copy the result, or the part of it that has arrived.", hint=True),
        _own("export", hint=True),
        _shared("cancel", "Cancel the task.", hint=True),
        _shared("retry", "Submit the ended task again, as a new task.", hint=True),
        _own("pull_model", "Pull the model that was missing when the task failed.", "pull", hint=True),
        _own("fold", hint=True),
        _shared("more_urgent", "One level more urgent."),
        _shared("less_urgent", "One level less urgent."),
        _shared("hold", "Hold the queued task, or release it."),
        _own("previous", "The previous task in the list.", run="other(-1)"),
        _own("next", "The next task in the list.", "other task", run="other(1)", hint=True, keys="[ ]"),
        *MOVES,
        *GENERAL,
    ),
    "models": (
        BACK,
        _own("open", "Show all details of the model.", "details", run="details", hint=True),
        _own("pull_model", "Pull a model: type its name.", "pull", hint=True),
        _own("cancel", "Stop the pull or the load; the next pull of the model resumes it.", "stop", hint=True),
        _own("load", hint=True),
        _own("unload", hint=True),
        _own("delete", "Delete the model, after a confirmation.", hint=True),
        _own("default", hint=True),
        _own("refresh", "Ask the cores for their models now.", hint=True),
        *MOVES,
        _closed_by("models"),
        *GENERAL,
    ),
    "workloads": (
        BACK,
        _own("open", "Replay the workload into this kernel.", "replay", run="replay", hint=True),
        _own("simulate", hint=True),
        _own("replay_slower", "A slower replay speed: 1, 2, 10 or full speed.", run="change_speed(-1)"),
        _own("replay_faster", "A faster replay speed.", "speed", run="change_speed(1)", hint=True, keys="< >"),
        _own("edit", "Type a replay speed.", run="edit('speed')"),
        _own("toggle", "Follow the workload's own policy switches and pauses, or ignore them.", "switches",
             run="toggle_switches", hint=True),
        _own("quick", "Type the path of a workload file.", "file", run="edit('path')", hint=True),
        _shared("compare", hint=True),
        *(use for use in MOVES if not use.action.id.startswith("page")),
        *GENERAL,
    ),
    "compare": (
        BACK,
        _own("toggle", "Select the run for comparison, or deselect it.", run="mark", hint=True),
        _own("open", "Select the run for comparison, or deselect it.", "select", run="mark"),
        *_panes("runs", "table", "plots"),
        _own("delete", "Delete the run; press the key twice.", hint=True),
        _own("workloads", "Choose a workload.", hint=True),
        _own("next_pane", run="turn(1)", priority=True),
        _own("previous_pane", run="turn(-1)", priority=True),
        *MOVES,
        _own("left", "To the left in a wide table.", run="move('left')"),
        _own("right", "To the right in a wide table.", run="move('right')"),
        *GENERAL,
    ),
    "metrics": (
        BACK,
        _own("left", "The next shorter time span.", run="change_span(-1)"),
        _own("right", "The next longer time span.", "time span", run="change_span(1)", hint=True, keys="← →"),
        _own("previous", "The previous priority.", run="change_priority(-1)"),
        _own("next", "Only one priority: the next one, then all again.", "priority", run="change_priority(1)",
             hint=True, keys="[ ]"),
        _own("next_pane", "The next plot, then the table.", "next", run="turn(1)", hint=True, priority=True),
        _own("previous_pane", "The previous plot.", run="turn(-1)", priority=True),
        _own("down", "The next plot, then the table.", run="turn(1)"),
        _own("up", "The previous plot.", run="turn(-1)"),
        *(_own(f"pane_{n}", f"Go to plot {n}." if n < 6 else "Go to the table.", run=f"pane({n})")
          for n in range(1, 7)),
        _own("zoom", "Show one plot at a time, or as many as fit.", hint=True),
        _own("open", "Show one plot at a time, or as many as fit.", run="zoom"),
        _own("refresh", "Read the history now.", hint=True),
        _closed_by("metrics"),
        *GENERAL,
    ),
    "agents": (BACK, *LIST_MOVES, _closed_by("agents"), LEAVE, HELP),
    "themes": (
        BACK,
        _handled("open", "Use the theme and remember it.", "use"),
        *LIST_MOVES,
        _closed_by("theme"),
        LEAVE,
        HELP,
    ),
    "help": (BACK, *MOVES[:4], LEAVE, _own("help", "Back.", run="leave")),
    "model": (BACK, *MOVES[:4], LEAVE, HELP),
    "quit": (
        _handled("open", "Do what is selected.", "choose"),
        *LIST_MOVES,
        _own("drain", "Let the running tasks finish, then quit.", run="choose('drain')"),
        _own("leave", "Quit now; running tasks go back to the queue.", "quit now", run="choose('stop')"),
        _shared("quit", "Quit now; running tasks go back to the queue."),
        _own("back", "Stay.", "stay", run="choose('stay')"),
        HELP,
    ),
    "delete model": (
        _handled("open", "Do what is selected.", "choose"),
        *LIST_MOVES,
        _own("delete", "Delete the model.", run="choose('delete')"),
        _own("back", "Keep the model.", "keep", run="choose('keep')"),
        _own("leave", "Keep the model.", "keep", run="choose('keep')"),
        HELP,
    ),
    "pull": (
        _handled("open", "Pull the model.", "pull"),
        _own("next_pane", "Pull to another core.", "other core", priority=True),
        BACK,
        HELP,
    ),
    "export": (_handled("open", "Write the file.", "write"), BACK, HELP),
    "form": (
        _own("submit", "Submit the task.", priority=True),
        _handled("next_pane", "Go to the next field.", "next"),
        _handled("previous_pane", "Go to the previous field."),
        _own("back", "Back; the draft is kept.", run="leave"),
        HELP,
    ),
    "quick line": (
        _handled("open", "Submit the task."),
        _own("complete", run="accept"),
        _own("complete_right", run="accept_or_right"),
        _own("older"),
        _own("newer"),
        _own("close_choices", run="close"),
    ),
    "priority": (
        *(_own("level", run=f"choose({level})", keys=str(level), only=str(level)) for level in range(10)),
        _own("left", "One level more urgent.", run="step(-1)"),
        _own("right", "One level less urgent.", run="step(1)"),
        _own("more_urgent", "One level more urgent.", run="step(-1)"),
        _own("less_urgent", "One level less urgent.", run="step(1)"),
        _own("top", "The most urgent level.", run="choose(0)"),
        _own("bottom", "The least urgent level.", run="choose(9)"),
    ),
    "app": (
        _own("quit", run="act('quit')", only="ctrl+q", priority=True),
        _own("quit", run="act('quit')", only="ctrl+c"),
    ),
    "lines": MOVES,
    "choices": (
        _own("down", run="cursor_down"),
        _own("up", run="cursor_up"),
        _own("top", run="first"),
        _own("bottom", run="last"),
    ),
}  # fmt: skip

INPUT_SCOPES: frozenset[Scope] = frozenset({"quick line", "priority"})
"""Input fields: their keys may be letters and digits, and those of `INPUT` have their meaning only here."""


def bindings(scope: Scope, *ids: str, target: str = "") -> list[BindingType]:
    """Return the key bindings of a screen or widget; only those of the actions `ids`, if any are given.

    `target` is put before each Textual action, such as `screen.` for a widget whose screen carries them out.
    """
    return [
        Binding(use.only or ",".join(use.action.keys), target + use.run, use.label, show=False, priority=use.priority)
        for use in SCREENS[scope]
        if use.run and use.action.keys and (not ids or use.action.id in ids)
    ]


def hints(scope: Scope) -> Iterable[Use]:
    """The uses that the screen's hint line shows, in order."""
    return (use for use in SCREENS[scope] if use.hint)


def hint_line(scope: Scope, *ids: str, gap: str = "   ") -> str:
    """A dialog's keys as one text, such as `enter write   esc back`."""
    uses = {use.action.id: use for use in SCREENS[scope]}
    return gap.join(f"{uses[each].keys} {uses[each].label}" for each in ids)
