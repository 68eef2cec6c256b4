"""The agents: what each does, in how many rounds, and how it has done so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from aios_tui.console.state.view_state import Changes
from aios_tui.console.widgets.option_list import PlainOptionList
from aios_tui.formatting.numbers import took
from engine.errors import AiosError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase
    from engine.agents.declarative import DeclarativeAgent
    from persistence.rows import AgentRow

NAME_WIDTH = 22


class AgentsScreen(ModalScreen[None]):
    """A line an agent; under them all about the one that is pointed at. Files that change are taken up at once."""

    CSS_PATH = "agents.tcss"
    AUTO_FOCUS = "#agents"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,a", "dismiss(None)", "leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._done: Mapping[str, AgentRow] = {}
        self._shown: list[DeclarativeAgent] = []

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = Content("Agents")
            box.border_subtitle = Content("esc leave")
            yield PlainOptionList(id="agents")
            with VerticalScroll(id="about", can_focus=False):
                yield Static("", id="words", markup=False)

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
        """Ask the history how they have done."""
        try:
            self._done = await self.console.runtime.history.by_agent()
        except AiosError as error:
            self.console.tell(str(error), "warning")
        if self.is_attached:
            self._fill()

    def _fill(self) -> None:
        self._shown = self.console.runtime.agents.agents()
        options = self.query_one(PlainOptionList)
        before = options.highlighted or 0
        options.clear_options()
        options.add_options([Option(self._row(agent), id=agent.name) for agent in self._shown])
        options.highlighted = min(before, len(self._shown) - 1)
        self._tell_about(options.highlighted)

    def _row(self, agent: DeclarativeAgent) -> Content:
        done = self._done.get(agent.name)
        rounds = f"{agent.round_total} round{' ' if agent.round_total == 1 else 's'}"
        name = one_line(agent.name, NAME_WIDTH)
        words = "no tasks yet" if done is None else f"{done.tasks:,} task{'' if done.tasks == 1 else 's'}"
        failed = f", {done.failed:,} failed" if done is not None and done.failed else ""
        return Content.assemble(
            (f"{name:<{NAME_WIDTH}}  ", "bold"), f"{rounds}  ", (words, "$muted"), (failed, "$error")
        )

    @on(OptionList.OptionHighlighted)
    def _pointed_at(self, event: OptionList.OptionHighlighted) -> None:
        self._tell_about(event.option_index)

    def _tell_about(self, index: int | None) -> None:
        if index is not None and index < len(self._shown):
            agent = self._shown[index]
            self.query_one("#words", Static).update(_about(agent, self._done.get(agent.name)))


def _about(agent: DeclarativeAgent, done: AgentRow | None) -> Content:
    """What is known of one agent, some lines."""
    by = f" by {agent.author}" if agent.author else ""
    told = [
        Content.styled(one_line(agent.description, 300) or "no description", "bold"),
        Content.assemble(("from      ", "$muted"), f"{one_line(agent.source, 200)}{by}"),
        Content.assemble(("defaults  ", "$muted"), _defaults(agent)),
    ]
    if done is not None:
        counts = f"{done.done:,} done, {done.failed:,} failed, {done.cancelled:,} cancelled"
        times = f"waited {took(done.waiting_s)}, turnaround {took(done.turnaround_s)} on average"
        tokens = f"{done.tokens_in:,} tokens in, {done.tokens_out:,} out"
        told += [Content.assemble(("so far    ", "$muted"), counts)]
        told += [Content.assemble(("          ", "$muted"), part) for part in (times, tokens)]
    for number, prompt in enumerate(agent.prompts, 1):
        told.append(Content.assemble((f"round {number:<4}", "$muted"), one_line(prompt, 400)))
    return Content("\n").join(told)


def _defaults(agent: DeclarativeAgent) -> str:
    """The options of each round, once where they are the same."""
    told = [
        ", ".join(f"{key} {value}" for key, value in options.model_dump(exclude_none=True).items()) or "the core's own"
        for options in agent.options
    ]
    return told[0] if len(set(told)) == 1 else "; ".join(f"round {n}: {each}" for n, each in enumerate(told, 1))
