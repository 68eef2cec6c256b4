"""The base classes of the console's screens: their keys, the hint line and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, cast

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.widget import Widget
from textual.widgets import OptionList

from aios_tui.console.screen_keys import Scope, hints
from aios_tui.console.widgets.hint_bar import Hints, hint

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase


SCROLLS = {"top": "scroll_home", "bottom": "scroll_end", "page_down": "page_down", "page_up": "page_up"}
LIST_MOVES = {"down": "cursor_down", "up": "cursor_up", "top": "first", "bottom": "last"}


def move(widget: Widget, direction: str) -> None:
    """Move the cursor of a list, or scroll another widget. `direction` is the id of a moving action."""
    if isinstance(widget, OptionList):
        name = LIST_MOVES.get(direction, direction)
    else:
        name = SCROLLS.get(direction, f"scroll_{direction}")
    if action := getattr(widget, f"action_{name}", None):
        action()


class ConsoleScreen(Screen[ScreenResultType], Generic[ScreenResultType]):
    """A screen of the console. Its keys are declared in `screen_keys.SCREENS` under its `SCOPE`.

    While another screen covers it, its `#footer` or `#hints` line is hidden: those keys do nothing then.
    """

    SCOPE: ClassVar[Scope]

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close the screen. Once only: a key that follows in one burst may ask for it again, or from under another."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    def on_screen_suspend(self) -> None:
        self.add_class("-covered")

    def on_screen_resume(self) -> None:
        self.remove_class("-covered")

    def draw_hints(self) -> None:
        """Draw the hint line; what is not available now is dim."""
        cells = [
            hint(use.keys, use.label, self.is_available(use.action.id))
            for use in hints(self.SCOPE)
            if self.is_offered(use.action.id)
        ]
        self.query_one(Hints).update(cells)

    def is_available(self, action: str) -> bool:
        """True if the action can run now."""
        return True

    def is_offered(self, action: str) -> bool:
        """True if the hint line has the action at all now."""
        return True

    def action_act(self, action: str) -> None:
        self.console.act(action)

    def action_leave(self) -> None:
        self.dismiss(None)


class Dialog(ModalScreen[ScreenResultType], ConsoleScreen[ScreenResultType]):
    """A window over another screen."""
