"""The theme picker."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from aios_tui.console.screen_keys import hint_line
from aios_tui.console.screens.base import Dialog
from aios_tui.console.theming import INKS
from aios_tui.console.widgets.inputs import PlainOptionList
from engine.sanitise import one_line
from themes import Theme

WIDTH = 50


class ThemeScreen(Dialog[None]):
    """Shows each theme as it is highlighted; enter uses it, escape returns to the one before."""

    SCOPE = "themes"

    def __init__(self) -> None:
        super().__init__()
        self._before = ""

    def compose(self) -> ComposeResult:
        self._before = self.console.theme
        themes = self.console.themes.available
        width = min(WIDTH, self.app.size.width) - 5
        name_width = max(1, min(max(len(name) for name in themes), width - 19))
        options = PlainOptionList(
            *(Option(_row(theme, name_width, width), id=name) for name, theme in themes.items()), id="themes"
        )
        options.border_title = Content("Theme")
        options.border_subtitle = Content(hint_line("themes", "open", "back"))
        yield options

    def on_mount(self) -> None:
        names = list(self.console.themes.available)
        self.query_one(PlainOptionList).highlighted = names.index(self._before) if self._before in names else 0

    @on(OptionList.OptionHighlighted)
    def _preview(self, event: OptionList.OptionHighlighted) -> None:
        self.console.themes.preview(event.option.id or "")

    @on(OptionList.OptionSelected)
    def _use(self, event: OptionList.OptionSelected) -> None:
        self.console.themes.save(event.option.id or "")
        self.dismiss(None)

    def action_leave(self) -> None:
        """Restore the previous theme, unless its file has been deleted meanwhile."""
        self.console.themes.preview(self._before)
        self.dismiss(None)


def _row(theme: Theme, name_width: int, width: int) -> Content:
    """Two lines: name and colours, then the description."""
    swatches = [("██", getattr(theme.colours, name)) for name in INKS]
    name = one_line(theme.name, name_width)
    head = Content.assemble(f"{name:<{name_width}} ", *swatches, (" dark" if theme.dark else " light", "$muted"))
    return Content("\n").join([head, Content.styled("  " + one_line(theme.description, max(2, width - 2)), "$muted")])
