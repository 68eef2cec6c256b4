"""The base classes of the console's screens: their keys, the hint line and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.console.screen_keys import Scope, bindings, hints
from aios_tui.console.widgets.hint_bar import Hints, hint
from aios_tui.console.widgets.inputs import PlainOptionList

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


def field(label: str, *widgets: Widget, id: str | None = None) -> Horizontal:
    """Return a row of a form: its label, and what belongs to it."""
    return Horizontal(Static(label, classes="label", markup=False), *widgets, classes="field", id=id)


class ConsoleScreen(Screen[ScreenResultType], Generic[ScreenResultType]):
    """A screen of the console. Its keys are in `screen_keys.SCREENS` under its `SCOPE`, its styles beside its module.

    While another screen covers it, its `#footer` or `#hints` line is hidden: those keys do nothing then.
    """

    SCOPE: ClassVar[Scope]

    def __init_subclass__(cls, **options: Any) -> None:
        if "SCOPE" in cls.__dict__:
            cls.BINDINGS = bindings(cls.SCOPE)
            if "CSS_PATH" not in cls.__dict__:
                cls.CSS_PATH = f"{cls.__module__.rpartition('.')[2]}.tcss"
        super().__init_subclass__(**options)

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


class ChoiceDialog(Dialog[ScreenResultType]):
    """A question with a list of answers. Each answer also has a key; both call `action_choose` with its id."""

    AUTO_FOCUS = "#choices"
    HEADING: ClassVar[str]
    ANSWERS: ClassVar[dict[str, tuple[str, str, str]]]
    """The key, name and effect of each answer, by id."""
    KEY_WIDTH: ClassVar[int] = 3

    def compose(self) -> ComposeResult:
        width = max(len(name) for _, name, _ in self.ANSWERS.values()) + 2
        with Vertical(classes="dialog question") as box:
            box.border_title = Content(self.HEADING)
            yield Static(self.question(), id="question", markup=False)
            rows = []
            for id_, (key, name, text) in self.ANSWERS.items():
                keys = (f"{key:<{self.KEY_WIDTH}}", "bold $accent")
                rows.append(Option(Content.assemble(keys, (f"  {name:<{width}}", "bold"), text), id=id_))
            yield PlainOptionList(*rows, id="choices", classes="choices")

    def question(self) -> Content:
        """Return the text above the answers."""
        raise NotImplementedError

    def action_choose(self, answer: str) -> None:
        """Close the window with what the answer stands for."""
        raise NotImplementedError

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose(event.option.id or "")


class TextDialog(Dialog[None]):
    """A read-only window; its text is in its one VerticalScroll, which the keys of a list scroll."""

    def action_move(self, direction: str) -> None:
        move(self.query_one(VerticalScroll), direction)
