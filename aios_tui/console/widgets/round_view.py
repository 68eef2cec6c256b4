"""One round of a task: prompt, thinking, reply and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Collapsible, Static

from aios_tui.console.state.task_details import RoundPage, TaskPage, tool_call_text
from aios_tui.console.state.view_state import SlotView
from aios_tui.console.widgets.hint_bar import Flow
from aios_tui.console.widgets.text_lines import TextLines
from aios_tui.formatting import numbers
from engine.sanitise import one_line, sanitise
from engine.task import AttemptState
from engine.wording import plural

if TYPE_CHECKING:
    from persistence.rows import AttemptRow

LIVE_CHARACTERS = 3_500


def length_text(text: str) -> str:
    """Return the length of a text, for the heading of a folded text."""
    count = len(text.split())
    return plural(count, "word")


def heading(number: int, total: int | None, parts: list[str]) -> list[Content]:
    """Return a round's heading: its number and figures."""
    of = f" of {total}" if total else ""
    return [
        Content.styled(f"Round {number}{of}", "bold $primary"),
        *(Content.styled(part, "$muted") for part in parts if part),
    ]


class RoundView(Vertical):
    """A round that has ended. Another attempt makes another view."""

    DEFAULT_CSS = """
    RoundView { height: auto; margin-top: 1; }
    RoundView .wrong { height: auto; color: $error; padding-left: 2; }
    RoundView TextLines { padding-left: 2; }
    RoundView .call { height: auto; color: $accent; padding-left: 2; }
    RoundView .aside { color: $muted; }
    """

    def __init__(self, each: RoundPage, page: TaskPage) -> None:
        super().__init__()
        self.key = key_of(each)
        self._round = each
        self._page = page

    def compose(self) -> ComposeResult:
        last, page = self._round.last, self._page
        yield Flow(heading(self._round.number, page.round_total, _figures(last)), gap=2)
        if last.prompt.strip() and last.prompt.strip() != page.prompt.strip():
            with Collapsible(title=f"prompt, {length_text(last.prompt)}"):
                yield TextLines(sanitise(last.prompt), classes="aside")
        for attempt in self._round.attempts:
            if attempt.state is not AttemptState.DONE:
                yield Static(Content(_error_text(attempt)), classes="wrong", markup=False)
        if last.thinking:
            with Collapsible(title=f"thinking, {length_text(last.thinking)}"):
                yield TextLines(sanitise(last.thinking), classes="aside")
        if last.reply:
            yield TextLines(sanitise(last.reply).strip(), kind="markdown", classes="reply")
        for call in last.tool_calls:
            yield Static(Content(tool_call_text(call)), classes="call", markup=False)


class LiveView(Vertical):
    """The running round: its stream as plain text; it becomes Markdown when it has ended."""

    DEFAULT_CSS = """
    LiveView { height: auto; margin-top: 1; display: none; }
    LiveView.-live { display: block; }
    LiveView TextLines { padding-left: 2; }
    LiveView .aside { color: $muted; }
    """

    def compose(self) -> ComposeResult:
        yield Flow(id="live-heading", gap=2)
        with Collapsible(title="thinking", id="live-thinking"):
            yield TextLines("", classes="aside", id="live-thought")
        yield TextLines("", id="live-text")

    def __init__(self) -> None:
        super().__init__()
        self._given: tuple[SlotView | None, int | None, float] = (None, None, 0.0)

    def on_mount(self) -> None:
        self.show(*self._given)

    def show(self, slot: SlotView | None, total: int | None, now: float) -> None:
        """Draw a slot's stream; hide for None."""
        self._given = (slot, total, now)
        self.set_class(slot is not None, "-live")
        if slot is None or not self.is_mounted:
            return
        figures = [
            one_line(f"{slot.model or ''} on {slot.id}", 80),
            numbers.clock(now - slot.started_at),
            f"TTFT {numbers.took(slot.ttft_s)}" if slot.ttft_s is not None else "",
            f"{slot.tokens:,} tokens" if slot.tokens else "",
            f"{numbers.rate(slot.tokens_per_s)} tok/s" if slot.tokens_per_s is not None else "",
            f"attempt {slot.attempt}" if slot.attempt > 1 else "",
        ]
        self.query_one("#live-heading", Flow).update(heading(slot.round, total, figures))
        thinking = self.query_one("#live-thinking", Collapsible)
        thinking.display = bool(slot.thinking)
        if slot.thinking:
            thinking.title = f"thinking, {slot.thinking_dropped + len(slot.thinking):,} characters"
            if not thinking.collapsed:
                self.query_one("#live-thought", TextLines).update(_tail(slot.thinking, slot.thinking_dropped))
        text = _tail(slot.text, slot.dropped) if slot.text else _waiting(slot)
        self.query_one("#live-text", TextLines).update(text)


def key_of(each: RoundPage) -> tuple[int, int, int, str]:
    """Return a key that differs when a round's view is out of date."""
    return each.start, each.number, len(each.attempts), str(each.last.state)


def _tail(text: str, dropped: int) -> str:
    """Return the end of a stream: as much as can be laid out ten times a second."""
    cut = max(0, len(text) - LIVE_CHARACTERS)
    text, dropped = text[cut:], dropped + cut
    return f"… {dropped:,} characters before this\n{text}" if dropped else text


def _waiting(slot: SlotView) -> str:
    if slot.thinking:
        return "thinking …"
    return (
        f"reading the prompt, {slot.read:,} of {slot.to_read:,} tokens …" if slot.to_read else "waiting for a token …"
    )


def _figures(attempt: AttemptRow) -> list[str]:
    rate = attempt.tokens_out / attempt.decode_s if attempt.decode_s > 0 else None
    return [
        one_line(f"{attempt.model or ''} on {attempt.slot}", 80),
        f"waited {numbers.took(attempt.waiting_s)}",
        f"took {numbers.took(attempt.service_s)}",
        f"TTFT {numbers.took(attempt.ttft_s)}" if attempt.ttft_s is not None else "",
        f"{attempt.tokens_in:,} → {attempt.tokens_out:,} tokens",
        f"{numbers.rate(rate)} tok/s" if rate is not None else "",
    ]


def _error_text(attempt: AttemptRow) -> str:
    kind = f"{attempt.fault}: " if attempt.fault else ""
    return one_line(f"attempt {attempt.attempt} {attempt.state}: {kind}{attempt.error or 'no reason was given'}", 1_000)
