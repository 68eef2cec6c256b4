"""A list of choices that also moves with j, k, g and G, like every list of the console."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import OptionList

from aios_tui.console.screen_keys import bindings


class PlainOptionList(OptionList):
    """An OptionList with the console's keys beside its own."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("choices")
