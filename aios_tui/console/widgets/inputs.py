"""Inputs of one line, and a list of choices, with the console's habits."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.events import Paste
from textual.reactive import reactive
from textual.widgets import Input, OptionList

from aios_tui.console.screen_keys import bindings
from aios_tui.console.textual_internals.scrolling import scroll_to_cursor_from_the_start
from engine.sanitise import sanitise


class LineInput(Input):
    """An Input that scrolls to its cursor for its first text, too, and that only escape, enter or a click leave.

    Tab is pressed twice out of habit; if it moved the focus, the words typed next would be keys of the pane there.
    """

    # No action of the console, so not in its table of keys: this only keeps Textual from moving the focus.
    BINDINGS: ClassVar[list[BindingType]] = [("tab,shift+tab", "stay", "stay")]
    cursor_blink = reactive(False, init=False)

    def action_stay(self) -> None:
        self.app.bell()

    def on_mount(self) -> None:
        scroll_to_cursor_from_the_start(self)


class NameInput(LineInput):
    """The name of a model or file; pasted text is cleaned first."""

    def on_paste(self, event: Paste) -> None:
        event.text = sanitise(event.text).strip()


class PlainOptionList(OptionList):
    """An OptionList that also moves with j, k, g and G, like every list of the console."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("choices")
