"""The agents: description, rounds and statistics of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.console.screen_keys import hint_line
from aios_tui.console.screens.base import Dialog
from aios_tui.console.state.view_state import Changes
from aios_tui.console.widgets.inputs import PlainOptionList
from aios_tui.formatting.numbers import took
from engine.errors import AiosError
from engine.sanitise import one_line
from engine.wording import plural

if TYPE_CHECKING:
    from engine.agents.declarative import DeclarativeAgent
    from persistence.rows import AgentRow

NAME_WIDTH = 22


class AgentsScreen(Dialog[None]):
    """One line an agent, and all details of the selected one. Changed agent files show at once."""

    AUTO_FOCUS = "#agents"
    SCOPE = "agents"

    def __init__(self) -> None:
        super().__init__()
        self._done: Mapping[str, AgentRow] = {}
        self._shown: list[DeclarativeAgent] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="dialog") as box:
            box.border_title = Content("Agents")
            box.border_subtitle = Content(hint_line("agents", "back", "help"))
            yield PlainOptionList(id="agents", classes="choices")
            with VerticalScroll(id="about", can_focus=False):
                yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        self._fill()
        self.console.background(self._load, group="agents", exclusive=True)
        self.console.frames.subscribe(self, self._on_frame)

    def _on_frame(self, changes: Changes) -> None:
        if changes.results:
            self.console.background(self._load, group="agents", exclusive=True)
        elif self._shown != self.console.runtime.agents.agents():
            self._fill()

    async def _load(self) -> None:
        """Read the agents' statistics from the history."""
        try:
            self._done = await self.console.runtime.history.by_agent()
        except AiosError as error:
            self.console.notify(str(error), severity="warning")
        if self.is_attached:
            self._fill()

    def _fill(self) -> None:
        self._shown = self.console.runtime.agents.agents()
        options = self.query_one(PlainOptionList)
        before = options.highlighted or 0
        options.clear_options()
        options.add_options([Option(self._row(agent), id=agent.name) for agent in self._shown])
        options.highlighted = min(before, len(self._shown) - 1)
        self._show_details(options.highlighted)

    def _row(self, agent: DeclarativeAgent) -> Content:
        done = self._done.get(agent.name)
        rounds = f"{plural(agent.round_total, 'round'):<8}"
        name = one_line(agent.name, NAME_WIDTH)
        tasks = "no tasks yet" if done is None else plural(done.tasks, "task")
        failed = f", {done.failed:,} failed" if done is not None and done.failed else ""
        return Content.assemble(
            (f"{name:<{NAME_WIDTH}}  ", "bold"), f"{rounds}  ", (tasks, "$muted"), (failed, "$error")
        )

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._show_details(event.option_index)

    def _show_details(self, index: int | None) -> None:
        if index is not None and index < len(self._shown):
            agent = self._shown[index]
            self.query_one("#text", Static).update(_details(agent, self._done.get(agent.name)))


def _details(agent: DeclarativeAgent, done: AgentRow | None) -> Content:
    """All facts of one agent, one a line."""
    by = f" by {agent.author}" if agent.author else ""
    lines = [
        Content.styled(one_line(agent.description, 300) or "no description", "bold"),
        Content.assemble(("from      ", "$muted"), f"{one_line(agent.source, 200)}{by}"),
        Content.assemble(("defaults  ", "$muted"), _defaults(agent)),
    ]
    if done is not None:
        counts = f"{done.done:,} done, {done.failed:,} failed, {done.cancelled:,} cancelled"
        times = f"waited {took(done.waiting_s)}, turnaround {took(done.turnaround_s)} on average"
        tokens = f"{done.tokens_in:,} tokens in, {done.tokens_out:,} out"
        lines += [Content.assemble(("so far    ", "$muted"), counts)]
        lines += [Content.assemble(("          ", "$muted"), part) for part in (times, tokens)]
    for number, prompt in enumerate(agent.prompts, 1):
        lines.append(Content.assemble((f"round {number:<4}", "$muted"), one_line(prompt, 400)))
    return Content("\n").join(lines)


def _defaults(agent: DeclarativeAgent) -> str:
    """The options of each round; only once if all are the same."""
    options = [
        ", ".join(f"{key} {value}" for key, value in each.model_dump(exclude_none=True).items())
        or "the core's defaults"
        for each in agent.options
    ]
    return (
        options[0] if len(set(options)) == 1 else "; ".join(f"round {n}: {each}" for n, each in enumerate(options, 1))
    )
