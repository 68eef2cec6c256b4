"""Help for a view, made from the action table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from aios_tui.config import paths
from aios_tui.config.settings import Settings
from aios_tui.console.actions import ACTIONS, UNSELECTED, Action, ActionContext, show_key
from aios_tui.console.screens.text_dialog import ReadingScreen
from engine.sanitise import one_line

ABOUT = {
    "queue": "Queue: what is ready, in the order in which it will run under the policy of the moment.",
    "activity": "Activity: each slot with what streams there, and what each core did in the last five minutes."
    " busy: the share of its slots' time; TTFT: start to first token; wait: ready to start, in seconds; swap: another"
    " model answered than before. z gives it the whole screen.",
    "results": "Results: what has ended, the newest first.",
    "task": "Task: what was asked, each round as it came, times and attempts. tab and enter unfold one part.",
    "metrics": "Metrics: what the history says of the time up to now. docs/metrics.md has the formulas.",
}
KEY_WIDTH = 16

QUICK_LINE = (
    ("@agent", "whom the task is for; tab completes"),
    ("!0 … !9", "its priority, 0 the most urgent; 5 without it"),
    ("#model", "the model to answer; the core's own without it"),
    ("\\@ \\! \\#", "begins a prompt with one of these signs"),
)


class HelpScreen(ReadingScreen):
    """Shows the keys of `context`: a pane of the main screen, where what can't act now is dim and says why.

    For another screen its keys are given, as Textual's names for them and what they do.
    """

    CSS_PATH = "help.tcss"
    AUTO_FOCUS = "#help"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "back"),
    ]

    def __init__(self, context: str, *, keys: Sequence[tuple[str, str]] | None = None) -> None:
        super().__init__()
        self.context = context
        self._keys = keys

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = Content(f"Help: {self.context}")
            box.border_subtitle = Content("j/k scroll   esc back")
            if self.context in ABOUT:
                yield Static(ABOUT[self.context], classes="about", markup=False)
            if self._keys is None:
                yield from self._main_keys()
            else:
                yield self._table([(_shown(keys), words, "") for keys, words in self._keys])
            if files := self._places():
                yield Static("Files", classes="group", markup=False)
                yield self._table([(name, path, "") for name, path in files])

    def _main_keys(self) -> ComposeResult:
        now = self.console.situation()
        for group, actions in groupby(sorted(ACTIONS, key=_place), key=lambda action: action.group):
            hint = f"  what is dim: {UNSELECTED}" if group == "Tasks" and now.live and now.selected is None else ""
            yield Static(Content.assemble(group, (hint, "$muted not bold")), classes="group", markup=False)
            yield self._table([_row(action, now) for action in actions])
        yield Static("Quick line", classes="group", markup=False)
        yield self._table([(name, words, "") for name, words in QUICK_LINE])

    def _table(self, rows: Sequence[tuple[str, str, str]]) -> Static:
        """Keys, what they do, and why they can't do it now; what can't is dim."""
        colours = self.console.theme_variables
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=KEY_WIDTH)
        table.add_column(overflow="fold")
        for keys, words, reason in rows:
            muted = Style(color=colours["muted"])
            style = muted if reason else Style(color=colours["accent"], bold=True)
            text = Text(words, muted if reason else "")
            if reason and reason != UNSELECTED:
                text.append(f" Not now: {reason}.")
            table.add_row(Text(keys, style), text)
        return Static(table, classes="keys")

    def _places(self) -> list[tuple[str, str]]:
        """Where the settings, the history and the log are; nothing when the session has no settings."""
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


def _place(action: Action) -> int:
    return _GROUPS.index(action.group)


def _row(action: Action, now: ActionContext) -> tuple[str, str, str]:
    keys = _shown(",".join(action.keys)) or f"ctrl+p {action.command.lower()}"
    return keys, action.description, one_line(action.why_not(now) or "", 120)


_SHOWN = {"equals_sign": "=", "left_square_bracket": "[", "right_square_bracket": "]"}


def _shown(keys: str) -> str:
    return " ".join(_SHOWN.get(key, show_key(key)) for key in keys.split(",") if key)
