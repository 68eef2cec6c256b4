"""The quick line at the bottom of the main screen: one line of text that becomes a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from rich.highlighter import Highlighter
from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from aios_tui.console.input.task_line import Completion, QuickError, accept, complete, parse, split
from aios_tui.console.preferences import Preferences
from aios_tui.console.screen_keys import bindings
from aios_tui.console.state.task_choices import agent_choices, model_choices
from aios_tui.console.widgets.completion import CompletionList
from aios_tui.console.widgets.inputs import LineInput
from engine.sanitise import sanitise
from engine.task import TaskSpec

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase

PLACEHOLDER = "write a task here: @story_teller !2 Tell me a funny story"
REST = f"i  {PLACEHOLDER}"
"""Shown while the line does not have the focus: names its key."""


def console(widget: Widget) -> ConsoleBase:
    """Return the app, typed."""
    return cast("ConsoleBase", widget.app)


class QuickInput(LineInput):
    """The input itself: passes on the keys that its line acts on."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("quick line")

    @property
    def line(self) -> QuickLine:
        return next(node for node in self.ancestors if isinstance(node, QuickLine))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let escape close candidates only while there are some; otherwise it is the screen's key."""
        if action in ("accept", "close"):
            self.line.process_text()
        if action == "close":
            return self.line.completing
        return super().check_action(action, parameters)

    def action_accept(self) -> None:
        if self.line.completing:
            self.line.accept()
        else:
            self.action_stay()

    def action_accept_or_right(self) -> None:
        if self.line.completing:
            self.line.accept()
        else:
            self.action_cursor_right()

    def action_older(self) -> None:
        self.line.step(-1)

    def action_newer(self) -> None:
        self.line.step(+1)

    def action_close(self) -> None:
        self.line.close_completion()

    async def action_submit(self) -> None:
        self.line.submit()

    def on_paste(self, event: events.Paste) -> None:
        """Make one clean line of a pasted text; the base class inserts it afterwards."""
        event.text = sanitise(" ".join(event.text.splitlines()).replace("\t", " "))


class TokenHighlighter(Highlighter):
    """Colours the options of the line, and underlines the part that an error is about."""

    def __init__(self, line: QuickLine) -> None:
        self._line = line

    def highlight(self, text: Text) -> None:
        colours = self._line.app.theme_variables
        for token in split(text.plain).tokens:
            match token.kind:
                case "agent":
                    colour = colours["accent"]
                case "model":
                    colour = colours["secondary"]
                case "priority":
                    colour = colours.get(f"priority-{token.word}", colours["error"])
            text.stylize(Style(color=colour, bold=True), token.start, token.end)
        if (error := self._line.error) is not None:
            text.stylize(Style(color=colours["error"], underline=True), error.start, error.end)


class QuickLine(Widget):
    """An input, with candidates above it while a name is typed, and a line for the error in an entered line.

    While no candidates are shown, escape belongs to the screen, which focuses the last pane.

    Args:
        agents: returns the usable agents, descriptions by name; by default those of the console.
        models: returns the models' names; by default those of the console.
        memory: holds the history; by default the console's.
        agent: the task's agent when the line names none.
    """

    DEFAULT_CSS = """
    QuickLine { height: auto; }
    QuickLine Horizontal { height: 1; background: $background; }
    QuickLine #sign { width: 3; padding: 0 1; color: $muted; }
    QuickLine:focus-within { background: $background; }
    QuickLine:focus-within #sign { color: $accent; text-style: bold; }
    QuickLine QuickInput { width: 1fr; border: none; height: 1; padding: 0; background: $background; }
    QuickLine QuickInput:focus { border: none; background: $background; }
    QuickLine QuickInput > .input--placeholder { color: $muted; }
    QuickLine #error { display: none; height: 1; padding: 0 1 0 3; color: $error; text-overflow: ellipsis;
        text-wrap: nowrap; }
    QuickLine.-error #error { display: block; }
    """

    @dataclass
    class Submitted(Message):
        """A line that is a valid task was entered."""

        spec: TaskSpec

    class Left(Message):
        """Enter was pressed on an empty line."""

    def __init__(
        self,
        *,
        agents: Callable[[], Mapping[str, str]] | None = None,
        models: Callable[[], Sequence[str]] | None = None,
        memory: Preferences | None = None,
        agent: str = "chat",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._agents = agents or (lambda: agent_choices(console(self).runtime.agents))
        self._models = models or (lambda: model_choices(console(self).view.cores.values()))
        self._given_memory = memory
        self._agent = agent
        self._completion: Completion | None = None
        self._moved = False
        self._history_index: int | None = None  # None: the line that is being written
        self._draft = ""
        self._inserted = ""  # a value set by this widget, for which no candidates are shown
        self._has_error = False
        self._processed = ""
        self.error: QuickError | None = None

    def compose(self) -> ComposeResult:
        yield Static("", id="error", markup=False)
        with Horizontal():
            yield Static("›", id="sign", markup=False)
            yield CompletionList()
            yield QuickInput(placeholder=REST, compact=True, select_on_focus=False, highlighter=TokenHighlighter(self))

    @property
    def _memory(self) -> Preferences:
        return console(self).preferences if self._given_memory is None else self._given_memory

    @property
    def input(self) -> Input:
        """The input itself."""
        return self.query_one(QuickInput)

    @property
    def value(self) -> str:
        """The text of the line."""
        return self.input.value

    @property
    def completing(self) -> bool:
        """True while candidates are shown."""
        return self._completion is not None

    def focus(self, scroll_visible: bool = True) -> QuickLine:
        """Focus the line."""
        self.input.focus(scroll_visible)
        return self

    def accept(self) -> None:
        """Put the chosen candidate into the line."""
        chosen = self.query_one(CompletionList).chosen
        if self._completion is None or chosen is None:
            return
        text, cursor = accept(self.value, self._completion, chosen)
        self._put(text, cursor)

    def step(self, by: int) -> None:
        """Step through the candidates while they are shown, else through the history."""
        self.process_text()
        if self.completing:
            self._moved = True
            self.query_one(CompletionList).move(by)
            return
        history = self._memory.values.history
        index = (len(history) if self._history_index is None else self._history_index) + by
        if not 0 <= index <= len(history) or not history:
            return
        if self._history_index is None:
            self._draft = self.value
        self._history_index = None if index == len(history) else index
        text = self._draft if self._history_index is None else history[index]
        self._put(text, len(text))

    def close_completion(self) -> None:
        """Hide the candidates."""
        self._completion = None
        self._moved = False
        self.query_one(CompletionList).close()

    def _put(self, text: str, cursor: int) -> None:
        self._inserted = text
        self.input.value = text
        self.input.cursor_position = cursor
        self.close_completion()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.process_text()

    def process_text(self) -> None:
        """Process the present text; a key may arrive before the message about its change."""
        value = self.value
        if value == self._processed:
            return
        self._processed = value
        if self.error is not None:
            self._check()
        if value == self._inserted:
            self.close_completion()  # the line may be empty again, with nothing left to complete
            return
        self._inserted = ""
        self._history_index = None
        self._suggest()

    def _suggest(self) -> None:
        """Show candidates for the option at the cursor, if there are any."""
        box = self.input
        agents, models = self._agents(), self._models()
        self._completion = complete(box.value, box.cursor_position, agents, models)
        self._moved = False
        shown = self.query_one(CompletionList)
        if self._completion is None or self.screen.focused is not box:
            self.close_completion()
            return
        found = self._completion
        notes = [agents.get(name[1:], "") for name in found.candidates] if found.kind == "agent" else ()
        shown.open(found.candidates, notes, column=cell_len(box.value[: found.start]))

    def _check(self) -> TaskSpec | None:
        """Return the task that the line describes, or show why it is none. An empty line shows nothing, blanks do."""
        spec = None
        error = None
        if self.value:
            try:
                spec = parse(self.value, self._agents(), self._models(), agent=self._agent)
            except QuickError as problem:
                error = problem
        self._has_error = error is not None
        self._show_error(error)
        return spec

    def _show_error(self, error: QuickError | None) -> None:
        self.error = error
        self.set_class(error is not None, "-error")
        self.query_one("#error", Static).update(Content(str(error or "")))
        self.input.refresh()

    def submit(self) -> None:
        """Post the task that the line describes and clear it; or accept a candidate chosen with the arrows."""
        self.process_text()
        if self.completing and self._moved:
            self.accept()
            return
        self.close_completion()
        spec = self._check()
        if spec is None:
            if not self.value:
                self.post_message(self.Left())
            return
        self._memory.add_history(self.value.strip())
        self._history_index, self._draft = None, ""
        self._put("", 0)
        self.post_message(self.Submitted(spec))

    def on_descendant_blur(self) -> None:
        """Keep the text; hide the candidates and the error."""
        self.input.placeholder = REST
        self.close_completion()
        self._show_error(None)

    def on_descendant_focus(self) -> None:
        """Show the error of a wrong text again."""
        self.input.placeholder = PLACEHOLDER
        if self._has_error:
            self._check()
