"""One task in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Collapsible, Static

from aios_tui.console.actions import BY_ID
from aios_tui.console.screens.base import Beneath
from aios_tui.console.state.task_details import TaskPage, page_of
from aios_tui.console.state.view_state import Changes
from aios_tui.console.widgets.hint_bar import Flow, Hints
from aios_tui.console.widgets.round_view import LiveView, RoundView, key_of
from aios_tui.console.widgets.text_lines import TextLines
from aios_tui.formatting import numbers
from aios_tui.formatting.models import missing_model
from engine.errors import AiosError
from engine.sanitise import one_line, sanitise
from engine.task import TaskState

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase
    from persistence.rows import TaskDetail

KEYS: tuple[tuple[str, str, str], ...] = (
    ("escape,q", "leave", "back to the main screen"),
    ("y", "copy", "copy the result, or what there is of it"),
    ("o,e", "export", "write the task to a Markdown file"),
    ("x", "act('cancel')", "cancel the task"),
    ("r", "act('retry')", "submit the ended task again, as a new one"),
    ("plus,equals_sign", "act('more_urgent')", "one level more urgent"),
    ("minus", "act('less_urgent')", "one level less urgent"),
    ("h", "act('hold')", "hold the queued task, or release it"),
    ("F", "pull_model", "pull the model for want of which it failed"),
    ("f", "fold", "show or hide prompts and thinking of all rounds"),
    ("left_square_bracket", "other(-1)", "the task before in the list"),
    ("right_square_bracket", "other(1)", "the task after"),
    ("j,down", "scroll('down')", "one line down"),
    ("k,up", "scroll('up')", "one line up"),
    ("g,home", "scroll('home')", "the start"),
    ("G,end", "scroll('end')", "the end"),
    ("pagedown,space,ctrl+f", "scroll('page_down')", "a page down"),
    ("pageup,ctrl+b", "scroll('page_up')", "a page up"),
    ("t", "act('theme')", "choose a colour theme"),
    ("question_mark", "help", "this list"),
)

HINTS = (
    ("esc", "back", ""),
    ("y", "copy", ""),
    ("o", "export", ""),
    ("x", "cancel", "cancel"),
    ("r", "retry", "retry"),
    ("F", "pull", "pull_model"),
    ("f", "fold", ""),
    ("[ ]", "other task", ""),
    ("?", "help", ""),
)


class TaskScreen(Beneath):
    """Shows the task `task_id`, live: the view state's part at each frame, the history's when it changed."""

    CSS_PATH = "task.tcss"
    AUTO_FOCUS = "#body"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (typed by the base class)
    BINDINGS: ClassVar[list[BindingType]] = [Binding(keys, action, words, show=False) for keys, action, words in KEYS]

    def __init__(self, task_id: int) -> None:
        super().__init__()
        self.task_id = task_id
        self._facts: TaskDetail | None = None
        self._trouble = ""
        self._stand: tuple[object, ...] = ()

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    @property
    def page(self) -> TaskPage | None:
        """The task as it is now."""
        return page_of(self.task_id, self.console.view, self._facts)

    def compose(self) -> ComposeResult:
        yield Flow(id="head")
        yield Flow(id="facts")
        with VerticalScroll(id="body"):
            yield Static("", id="wrong", markup=False)
            yield Static("Prompt", classes="title", markup=False)
            yield TextLines("", id="prompt")
            yield Vertical(id="rounds")
            yield Vertical(LiveView(), id="live")
            yield Static("Result", classes="title", id="result-title", markup=False)
            yield TextLines("", kind="markdown", id="result")
            yield Static("", id="earlier", markup=False)
        yield Hints()

    def on_mount(self) -> None:
        self.console.frames.subscribe(self, self._on_frame)
        self._draw()
        self._read()

    # From the kernel and the history

    def _on_frame(self, changes: Changes) -> None:
        if not (changes.everything or changes.clock or self.task_id in changes.tasks):
            return
        if self._stand != self._standing() or (changes.clock and self._behind()):
            self._read()
        self._draw()

    def _standing(self) -> tuple[object, ...]:
        """What, when it changes, makes the history worth reading again."""
        task = self.console.view.tasks.get(self.task_id)
        return (None,) if task is None else (task.state, task.rounds, task.attempts, task.executing, task.last_error)

    def _behind(self) -> bool:
        """Whether the history that was read lacks something that the view state knows."""
        task = self.console.view.tasks.get(self.task_id)
        if self._facts is None:
            return not self._trouble
        if task is None:
            return not self._facts.record.state.ended
        replied = {each.round for each in self._facts.attempts if each.reply}
        return len(replied) < task.rounds

    def _read(self) -> None:
        self._stand = self._standing()
        self._read_history()

    @work(exclusive=True, group="history")
    async def _read_history(self) -> None:
        task_id = self.task_id
        try:
            facts = await self.console.runtime.history.show(task_id)
        except AiosError as error:
            self._trouble = one_line(str(error))
        else:
            self._trouble = ""
            if facts is not None:
                self._facts = facts
        if task_id == self.task_id:
            self._draw()
            await self._draw_rounds()

    # Drawing

    def _draw(self) -> None:
        """Everything but the rounds that have ended."""
        page = self.page
        if page is None:
            words_ = self._trouble or f"#{self.task_id} is neither running nor in the history"
            self.query_one("#head", Flow).update([Content.styled(words_, "$error")])
            return
        self.query_one("#head", Flow).update(_head(page))
        self.query_one("#facts", Flow).update(_facts(page))
        wrong = sanitise(page.error or "") if page.state is not TaskState.DONE else ""
        wrong = wrong or self._trouble
        self._set("#wrong", Static, wrong)
        self.query_one("#prompt", TextLines).update(sanitise(page.prompt).strip())
        self._draw_live(page)
        shown = page.rounds[-1].last.reply.strip() if page.rounds else ""
        result = sanitise(page.result or "").strip()
        different = bool(result) and result != shown and (bool(page.rounds) or self._facts is not None)
        self.query_one("#result", TextLines).update(result if different else "")
        for name in ("#result", "#result-title"):
            self.query_one(name).display = different
        self._set("#earlier", Static, _earlier(page))
        self._draw_hints()

    def _draw_live(self, page: TaskPage) -> None:
        """A view for each round that runs; most agents run one at a time."""
        box = self.query_one("#live", Vertical)
        views = list(box.query(LiveView))
        for _ in page.slots[len(views) :]:
            views.append(LiveView())
            box.mount(views[-1])
        slots = [*page.slots, *[None] * len(views)]
        for view, slot in zip(views, slots, strict=False):
            view.show(slot, page.round_total, self.console.view.now)

    def _set(self, name: str, kind: type[Static], text: str) -> None:
        static = self.query_one(name, kind)
        static.display = bool(text)
        static.update(Content(text))

    async def _draw_rounds(self) -> None:
        """Views of the rounds that have ended: those that are there stay, so what is unfolded stays unfolded."""
        page = self.page
        wanted = {key_of(each): each for each in page.rounds} if page is not None else {}
        box = self.query_one("#rounds", Vertical)
        there = {view.key: view for view in box.query(RoundView)}
        for key, view in there.items():
            if key not in wanted:
                await view.remove()
        new = [RoundView(each, page) for key, each in wanted.items() if key not in there] if page is not None else []
        if new:
            await box.mount(*new)
            box.sort_children(key=lambda view: cast(RoundView, view).key)

    def _draw_hints(self) -> None:
        now = self.console.situation(self.task_id)
        missing = self._missing_model
        parts: list[Content] = []
        for key, name, action in HINTS:
            able = not action or BY_ID[action].why_not(now) is None
            if action == ("cancel" if missing else "pull_model"):  # one of them, so that all fit in 80 columns
                continue
            if action == "pull_model":
                able = now.live
            parts.append(
                Content.assemble((key, "bold $accent" if able else "$muted"), (f" {name}", "" if able else "$muted"))
            )
        self.query_one("#hints", Flow).update(parts)

    # Keys

    def action_leave(self) -> None:
        self.app.clear_notifications()  # what was said here would cover the quick line there
        self.dismiss(None)

    def action_act(self, action: str) -> None:
        self.console.act(action, task=self.task_id)

    @property
    def _missing_model(self) -> str | None:
        """The model for lack of which the task failed, however long ago."""
        return missing_model(self.page.fault) if self.page is not None else None

    def action_pull_model(self) -> None:
        from aios_tui.console.screens.models import ask_for_pull

        missing = self._missing_model
        if missing is None:
            self.console.tell(f"#{self.task_id} did not fail for want of a model", "warning")
        else:
            fault = self.page.fault if self.page is not None else None
            ask_for_pull(self.console, core=fault.core if fault is not None else None, model=missing)

    def action_scroll(self, where: str) -> None:
        getattr(self.query_one("#body", VerticalScroll), f"action_{_SCROLLS.get(where, 'scroll_' + where)}")()

    def action_copy(self) -> None:
        page = self.page
        if page is not None:
            self.console.copy_to_clipboard(page.text)
            self.console.tell(f"copied {len(page.text):,} characters")

    def action_export(self) -> None:
        from aios_tui.console.screens.export import ExportScreen

        page = self.page
        if page is not None:
            self.app.push_screen(ExportScreen(page))

    def action_fold(self) -> None:
        """Unfold everything if something is folded, else fold it."""
        folds = list(self.query(Collapsible))
        unfold = any(each.collapsed for each in folds)
        for each in folds:
            each.collapsed = not unfold

    def action_help(self) -> None:
        from aios_tui.console.screens.help import HelpScreen

        self.app.push_screen(HelpScreen("task", keys=[(keys, words) for keys, _, words in KEYS]))

    async def action_other(self, step: int) -> None:
        """Go to the task before or after this one: running ones first, then the queue, then results."""
        view = self.console.view
        running = [task.id for task in view.tasks.values() if task.id not in view.order]
        ids = [*running, *view.order, *(result.id for result in view.results)]
        place = ids.index(self.task_id) + step if self.task_id in ids else -1
        if not 0 <= place < len(ids):
            self.console.tell("there is no other task in that direction")
            return
        self.task_id = ids[place]
        self._facts, self._trouble = None, ""
        await self.query_one("#rounds", Vertical).remove_children()
        self.query_one("#body").scroll_home(animate=False)
        self._draw()
        self._read()


_SCROLLS = {"page_down": "page_down", "page_up": "page_up"}


def _head(page: TaskPage) -> list[Content]:
    mark, style = numbers.MARKS[page.state]
    colour = {"accent": "$accent", "good": "$success", "bad": "$error"}.get(style, "$muted")
    parts = [
        Content.assemble((f"{mark} {page.state}{', held' if page.held else ''}", f"bold {colour}")),
        Content.styled(one_line(page.agent, 60), "bold"),
        Content.assemble(("pri ", "$muted"), (str(page.priority), f"bold $priority-{page.priority}")),
        Content.styled(f"#{page.id}", "$muted"),
    ]
    if page.model or page.core:
        where = " on ".join(one_line(part, 60) for part in (page.model, page.core) if part)
        parts.append(Content(where))
    if page.client:
        parts.append(Content.assemble(("from ", "$muted"), one_line(page.client, 60)))
    if page.retry_of:
        parts.append(Content.styled(f"again of #{page.retry_of}", "$muted"))
    return parts


def _facts(page: TaskPage) -> list[Content]:
    values = [
        ("waited", numbers.clock(page.waited_s) if page.state is TaskState.QUEUED else numbers.took(page.waited_s)),
        ("running", numbers.clock(page.since_start_s) if page.since_start_s is not None else ""),
        ("service", numbers.took(page.service_s)),
        ("turnaround", numbers.took(page.turnaround_s)),
        ("TTFT", numbers.took(page.ttft_s)),
        ("tokens in", f"{page.tokens_in:,}" if page.attempts else ""),
        ("out", f"{page.tokens_out:,}" if page.attempts else ""),
        ("tok/s", numbers.rate(page.tokens_per_s)),
        ("rounds", numbers.rounds(page.rounds_done, page.round_total)),
        ("retries", str(page.retries or "")),
        ("interruptions", str(page.interruptions) if page.interruptions else ""),
    ]
    return [Content.assemble((f"{name} ", "$muted"), value) for name, value in values if value not in ("", "–")]


def _earlier(page: TaskPage) -> str:
    """A line for each attempt of a start that was interrupted."""
    lines = [
        one_line(
            f"start {each.start}, round {each.round}, attempt {each.attempt}: {each.state} on {each.slot} after "
            f"{numbers.took(each.service_s)}{': ' + each.error if each.error else ''}",
            500,
        )
        for each in page.earlier
    ]
    return "\n".join(["Earlier starts, interrupted:", *lines]) if lines else ""
