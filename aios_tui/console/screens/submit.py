"""The form for a new task."""

from __future__ import annotations

from pydantic import ValidationError
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Select, Static, TextArea

from aios_tui.console.preferences import MAX_COUNT, FormValues
from aios_tui.console.screen_keys import hint_line
from aios_tui.console.screens.base import Dialog, field
from aios_tui.console.state.ports import ConsoleRuntime
from aios_tui.console.state.task_choices import agent_choices, default_models, model_choices
from aios_tui.console.widgets.priority_picker import PriorityPicker
from engine.sanitise import one_line, sanitise
from engine.task import MAX_PROMPT_CHARS, TaskSpec

LONG_KEYS = hint_line("form", "submit", "next_pane", "back") + ", keeping the draft"
SHORT_KEYS = hint_line("form", "submit", "next_pane", "back", gap="  ")
NO_MODEL = ""
"""The value of the model list that stands for the core's default model."""


class PromptArea(TextArea):
    """A text of several lines. Tab leaves it; pasted text is cleaned first."""

    def on_paste(self, event: events.Paste) -> None:
        event.text = sanitise(event.text.replace("\r\n", "\n").replace("\r", "\n"))


class SubmitScreen(Dialog[list[TaskSpec] | None]):
    """Returns the tasks to submit, or None if it is closed. A closed form is restored next time."""

    AUTO_FOCUS = "#prompt"
    SCOPE = "form"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (typed by the base class)

    def __init__(self, runtime: ConsoleRuntime) -> None:
        super().__init__()
        self.runtime = runtime

    def compose(self) -> ComposeResult:
        last = self.console.preferences.values.form
        agents = agent_choices(self.runtime.agents)
        cores = list(self.console.view.cores.values())
        models = model_choices(cores)
        defaults = default_models(cores)
        with Vertical(id="form", classes="dialog") as form:
            form.border_title = Content("New task")
            yield Static(SHORT_KEYS, id="keys", markup=False)
            prompt = PromptArea(
                last.draft,
                id="prompt",
                soft_wrap=True,
                compact=True,
                highlight_cursor_line=False,
                placeholder=Content("What should the agent do?"),
            )
            prompt.cursor_blink = False
            yield prompt
            choices = [(self._choice(name, description), name) for name, description in agents.items()]
            chosen = last.agent if last.agent in agents else next(iter(agents))
            yield field("agent", Select(choices, value=chosen, allow_blank=False, compact=True, id="agent"))
            yield field("priority", PriorityPicker(last.priority, id="priority"))
            choices = [(self._choice("core's default", defaults), NO_MODEL)]
            choices += [(Text(one_line(name, 100)), name) for name in models]
            chosen = last.model if last.model in models else NO_MODEL
            yield field("model", Select(choices, value=chosen, allow_blank=False, compact=True, id="model"))
            count = Input(str(last.count), id="count", compact=True, restrict=r"\d*", max_length=4)
            yield field("count", count, Static("how many tasks", id="count-note", markup=False))
            yield Static("", id="problems", markup=False)

    def _choice(self, name: str, description: str) -> Text:
        """A line of a list. Type-to-search works only in a Text and in markup."""
        muted = self.app.theme_variables["muted"]
        return Text.assemble(one_line(name, 60), (f"  {description}" if description else "", muted))

    def on_resize(self, event: events.Resize) -> None:
        roomy = event.size.width >= len(LONG_KEYS) + 6
        self.query_one("#form").border_subtitle = Content(LONG_KEYS if roomy else SHORT_KEYS)

    def on_mount(self) -> None:
        self.query_one("#count", Input).cursor_blink = False
        prompt = self.query_one(PromptArea)
        prompt.move_cursor(prompt.document.end)

    def action_submit(self) -> None:
        """Return the tasks; or list the problems, one a line, and go to the first field concerned."""
        problems = self._problems()
        if problems:
            self.query_one("#problems", Static).update(Content("\n").join(Content(text) for _, text in problems))
            self.query_one(f"#{problems[0][0]}").focus()
            return
        values = self._values()
        spec = TaskSpec(prompt=values.draft, agent=values.agent, priority=values.priority, model=values.model)
        self.console.preferences.update(form=FormValues())
        self.dismiss([spec] * self._count)

    def action_leave(self) -> None:
        """Close the form and keep the draft for next time."""
        try:
            self.console.preferences.update(form=self._values())
        except ValidationError:
            self.console.notify("the draft is too long to be kept", severity="warning")
        self.dismiss(None)

    @on(TextArea.Changed)
    @on(Input.Changed)
    def _edited(self) -> None:
        self.query_one("#problems", Static).update("")

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_submit()

    def _problems(self) -> list[tuple[str, str]]:
        """The reasons why the form can't be submitted: a field's id and one line each."""
        prompt = self.query_one(PromptArea).text
        problems = []
        if not prompt.strip():
            problems.append(("prompt", "prompt: write what the agent should do"))
        if len(prompt) > MAX_PROMPT_CHARS:
            problems.append(("prompt", f"prompt: {len(prompt):,} characters, the limit is {MAX_PROMPT_CHARS:,}"))
        if not 1 <= self._count <= MAX_COUNT:
            problems.append(("count", f"count: a number from 1 to {MAX_COUNT:,}"))
        return problems

    @property
    def _count(self) -> int:
        text = self.query_one("#count", Input).value
        return int(text) if text.isascii() and text.isdigit() else 0

    def _values(self) -> FormValues:
        return FormValues(
            draft=self.query_one(PromptArea).text,
            agent=str(self.query_one("#agent", Select).value),
            priority=self.query_one(PriorityPicker).value,
            model=str(self.query_one("#model", Select).value) or None,
            count=min(max(self._count, 1), MAX_COUNT),
        )
