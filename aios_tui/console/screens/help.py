"""The help of a screen, made from the key tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from aios_tui.config import paths
from aios_tui.config.settings import Settings
from aios_tui.console.action_context import UNSELECTED, ActionContext
from aios_tui.console.actions import MAIN, Action
from aios_tui.console.screen_keys import SCREENS, Scope, hint_line
from aios_tui.console.screens.base import TextDialog
from engine.sanitise import one_line

ABOUT = {
    "queue": "Queue: ready tasks in the order in which they will run under the present policy.",
    "activity": "Activity: the text that each slot streams, and the figures of each core over the last five minutes."
    " busy: share of slot time in use; TTFT: time from start to first token; wait: seconds from ready to start; swap:"
    " the slot changed its model. z zooms.",
    "results": "Results: ended tasks, newest first.",
    "task": "Task: prompt, rounds, times and attempts. tab and enter unfold one part.",
    "metrics": "Metrics: figures from the history, up to now. docs/metrics.md has the formulas.",
}
KEY_WIDTH = 17

QUICK_LINE = (
    ("@agent", "the agent; tab completes"),
    ("!0 … !9", "the priority, 0 is the most urgent; default 5"),
    ("#model", "the model; by default the core's own"),
    ("\\@ \\! \\#", "start a prompt with one of these characters"),
)


class HelpScreen(TextDialog):
    """Shows the keys of the screen `scope`. On the main screen, keys that are not available are dim, with the reason.

    Args:
        pane: the focused pane of the main screen, which is explained at the top.
    """

    AUTO_FOCUS = "#help"
    SCOPE = "help"

    def __init__(self, scope: Scope, pane: str = "queue") -> None:
        super().__init__()
        self.scope = scope
        self._topic = pane if scope == "main" else scope

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help", classes="dialog") as box:
            box.border_title = Content(f"Help: {self._topic}")
            box.border_subtitle = Content(f"j/k scroll   {hint_line('help', 'back')}")
            if self._topic in ABOUT:
                yield Static(ABOUT[self._topic], classes="about", markup=False)
            if self.scope == "main":
                yield from self._main_keys()
            else:
                yield self._table(
                    [(" ".join(use.action.shown_keys), use.description, "") for use in SCREENS[self.scope]]
                )
            if files := self._files():
                yield Static("Files", classes="group", markup=False)
                yield self._table([(name, path, "") for name, path in files])

    def _main_keys(self) -> ComposeResult:
        context = self.console.action_context()
        for group, actions in groupby(sorted(MAIN, key=_group_order), key=lambda action: action.group):
            unselected = group == "Tasks" and context.live and context.selected is None
            note = f"  dim: {UNSELECTED}" if unselected else ""
            yield Static(Content.assemble(group, (note, "$muted not bold")), classes="group", markup=False)
            yield self._table([_row(action, context) for action in actions])
        yield Static("Quick line", classes="group", markup=False)
        yield self._table([(name, text, "") for name, text in QUICK_LINE])

    def _table(self, rows: Sequence[tuple[str, str, str]]) -> Static:
        """Rows of keys, description and the reason why they are not available; those with a reason are dim."""
        colours = self.console.theme_variables
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=KEY_WIDTH)
        table.add_column(overflow="fold")
        for keys, description, reason in rows:
            muted = Style(color=colours["muted"])
            style = muted if reason else Style(color=colours["accent"], bold=True)
            text = Text(description, muted if reason else "")
            if reason and reason != UNSELECTED:
                text.append(f" Not available: {reason}.")
            table.add_row(Text(keys, style), text)
        return Static(table, classes="keys")

    def _files(self) -> list[tuple[str, str]]:
        """Names and paths of the program's files; empty when the runtime has no settings."""
        settings = getattr(self.console.runtime, "settings", None)
        if not isinstance(settings, Settings):
            return []
        found = [
            ("settings", paths.default_config()),
            ("history", settings.db),
            ("log", paths.log_file()),
            ("agents", settings.agents_folder),
            ("themes", settings.themes_folder),
            ("workloads", settings.workloads_folder),
        ]
        return [(name, one_line(str(path), 400)) for name, path in found]


_GROUPS = ("Tasks", "Scheduling", "Workloads", "Moving", "View", "Program")


def _group_order(action: Action) -> int:
    return _GROUPS.index(action.group)


def _row(action: Action, context: ActionContext) -> tuple[str, str, str]:
    keys = " ".join(action.shown_keys) or f"ctrl+p {action.title.lower()}"
    return keys, action.description, one_line(action.why_not(context) or "", 120)
