"""The theme picker."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from aios_tui.console.widgets.option_list import PlainOptionList
from engine.sanitise import one_line
from themes import Theme

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase

WIDTH = 50
SWATCHES = ("primary", "secondary", "accent", "success", "warning", "error")


class ThemeScreen(ModalScreen[None]):
    """Shows each theme as it is pointed at; enter keeps it, escape goes back to what was."""

    CSS_PATH = "themes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,t", "leave", "leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._before = ""

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    def compose(self) -> ComposeResult:
        self._before = self.console.theme
        themes = self.console.theming.themes
        width = min(WIDTH, self.app.size.width) - 5
        name_width = min(max(len(name) for name in themes), width - 19)
        options = PlainOptionList(
            *(Option(_row(theme, name_width, width), id=name) for name, theme in themes.items()), id="themes"
        )
        options.border_title = Content("Theme")
        options.border_subtitle = Content("enter keep   esc leave")
        yield options

    def on_mount(self) -> None:
        names = list(self.console.theming.themes)
        self.query_one(PlainOptionList).highlighted = names.index(self._before) if self._before in names else 0

    @on(OptionList.OptionHighlighted)
    def _preview(self, event: OptionList.OptionHighlighted) -> None:
        self.console.theming.preview(event.option.id or "")

    @on(OptionList.OptionSelected)
    def _keep(self, event: OptionList.OptionSelected) -> None:
        self.console.theming.keep(event.option.id or "")
        self.dismiss(None)

    def action_leave(self) -> None:
        """Show again what was shown before, unless its file has gone meanwhile."""
        self.console.theming.preview(self._before)
        self.dismiss(None)


def _row(theme: Theme, name_width: int, width: int) -> Content:
    """Two lines: the name with its colours, and the description."""
    swatches = [("██", getattr(theme.colours, name)) for name in SWATCHES]
    name = one_line(theme.name, name_width)
    head = Content.assemble(f"{name:<{name_width}} ", *swatches, (" dark" if theme.dark else " light", "$muted"))
    return Content("\n").join([head, Content.styled("  " + one_line(theme.description, width - 2), "$muted")])
