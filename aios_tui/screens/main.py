"""The main screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from aios_tui.actions import ACTIONS, Pane
from aios_tui.widgets.quick_line import QuickLine


class MainScreen(Screen[None]):
    """Queue, activity and results, with a header above and the quick line and footer below."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), f"app.act('{action.id}')", action.label, show=False)
        for action in ACTIONS
        if action.keys and not action.moves and action.id not in ("palette",)
    ]

    pane: Pane = "queue"
    selected: int | None = None

    def compose(self) -> ComposeResult:
        yield Static("")
        yield QuickLine()

    def show_notice(self, text: str, severity: str) -> None:
        self.query_one(Static).update(text)

    def moved_selection(self) -> tuple[int, int] | None:
        return None

    def focus_quick_line(self) -> None:
        self.query_one(QuickLine).focus()

    def open_filter(self) -> None: ...

    def toggle_zoom(self) -> None: ...

    def step_back(self) -> None: ...

    def focus_pane(self, name: str) -> None: ...

    def turn_pane(self, step: int) -> None: ...
