"""The task screen: one task in full, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Collapsible, Static

from aios_tui.console.action_context import no_model_missing
from aios_tui.console.actions import BY_ID
from aios_tui.console.screens.base import ConsoleScreen, move
from aios_tui.console.screens.task_header import earlier_starts, fact_cells, head_cells
from aios_tui.console.state.task_details import TaskPage, page_of
from aios_tui.console.state.view_state import Changes
from aios_tui.console.widgets.hint_bar import Flow, Hints
from aios_tui.console.widgets.round_view import LiveView, RoundView, key_of
from aios_tui.console.widgets.text_lines import TextLines
from aios_tui.formatting.models import missing_model
from engine.errors import AiosError
from engine.sanitise import one_line, sanitise
from engine.task import TaskState
from engine.wording import plural

if TYPE_CHECKING:
    from persistence.rows import TaskDetail


class TaskScreen(ConsoleScreen[None]):
    """Shows the task `task_id`: the view state's part in each frame, the history's part when it has changed."""

    AUTO_FOCUS = "#body"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012  (typed by the base class)
    SCOPE = "task"

    def __init__(self, task_id: int) -> None:
        super().__init__()
        self.task_id = task_id
        self._facts: TaskDetail | None = None
        self._trouble = ""
        self._seen: tuple[object, ...] = ()

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
        if self._seen != self._progress() or (changes.clock and self._is_stale()):
            self._read()
        self._draw()

    def _progress(self) -> tuple[object, ...]:
        """A summary of the task; the history is read again when it changes."""
        task = self.console.view.tasks.get(self.task_id)
        return (None,) if task is None else (task.state, task.rounds, task.attempts, task.executing, task.last_error)

    def _is_stale(self) -> bool:
        """True if the facts read from the history are older than the view state."""
        task = self.console.view.tasks.get(self.task_id)
        if self._facts is None:
            return not self._trouble
        if task is None:
            return not self._facts.record.state.ended
        replied = {each.round for each in self._facts.attempts if each.reply}
        return len(replied) < task.rounds

    def _read(self) -> None:
        self._seen = self._progress()
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
        """Draw everything but the rounds that have ended."""
        page = self.page
        if page is None:
            problem = self._trouble or f"#{self.task_id} is neither running nor in the history"
            self.query_one("#head", Flow).update([Content.styled(problem, "$error")])
            return
        self.query_one("#head", Flow).update(head_cells(page))
        self.query_one("#facts", Flow).update(fact_cells(page))
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
        self._set("#earlier", Static, earlier_starts(page))
        self.draw_hints()

    def _draw_live(self, page: TaskPage) -> None:
        """Draw a view for each running round; most agents run one at a time."""
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
        """Draw the ended rounds. Existing views are reused, so that unfolded parts stay unfolded."""
        page = self.page
        wanted = {key_of(each): each for each in page.rounds} if page is not None else {}
        box = self.query_one("#rounds", Vertical)
        present = {view.key: view for view in box.query(RoundView)}
        for key, view in present.items():
            if key not in wanted:
                await view.remove()
        new = [RoundView(each, page) for key, each in wanted.items() if key not in present] if page is not None else []
        if new:
            await box.mount(*new)
            box.sort_children(key=lambda view: cast(RoundView, view).key)

    def is_available(self, action: str) -> bool:
        if action == "pull_model":
            return self.console.live
        if action not in ("cancel", "retry"):
            return True
        return BY_ID[action].why_not(self.console.action_context(self.task_id)) is None

    def is_offered(self, action: str) -> bool:
        """Offer only one of pull and cancel, so that all hints fit into 80 columns."""
        return action != ("pull_model" if self._missing_model is None else "cancel")

    # Keys

    def action_leave(self) -> None:
        self.app.clear_notifications()  # toasts of this screen would cover the quick line
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
            self.console.notify(no_model_missing(self.task_id), severity="warning")
        else:
            fault = self.page.fault if self.page is not None else None
            ask_for_pull(self.console, core=fault.core if fault is not None else None, model=missing)

    def action_move(self, direction: str) -> None:
        move(self.query_one("#body", VerticalScroll), direction)

    def action_copy(self) -> None:
        page = self.page
        if page is not None:
            self.console.copy_to_clipboard(page.text)
            self.console.notify(f"copied {plural(len(page.text), 'character')}")

    def action_export(self) -> None:
        from aios_tui.console.screens.export import ExportScreen

        page = self.page
        if page is not None:
            self.app.push_screen(ExportScreen(page))

    def action_fold(self) -> None:
        """Unfold all parts; if all are unfolded, fold them."""
        folds = list(self.query(Collapsible))
        unfold = any(each.collapsed for each in folds)
        for each in folds:
            each.collapsed = not unfold

    async def action_other(self, step: int) -> None:
        """Go to the previous or next task in this order: running tasks, queue, results."""
        view = self.console.view
        running = [task.id for task in view.tasks.values() if task.id not in view.order]
        ids = [*running, *view.order, *(result.id for result in view.results)]
        index = ids.index(self.task_id) + step if self.task_id in ids else -1
        if not 0 <= index < len(ids):
            self.console.notify("there is no other task in that direction")
            return
        self.task_id = ids[index]
        self._facts, self._trouble = None, ""
        await self.query_one("#rounds", Vertical).remove_children()
        self.query_one("#body").scroll_home(animate=False)
        self._draw()
        self._read()
