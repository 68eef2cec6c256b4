"""The models of every core, installed and loaded: pull, load, unload and delete them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from aios_tui.console.screens.base import ConsoleScreen
from aios_tui.console.state.view_state import Changes
from aios_tui.console.widgets.hint_bar import Flow, Hints
from aios_tui.console.widgets.line_list import LineList
from aios_tui.console.widgets.model_list import ModelList, ModelRow, rows_of
from aios_tui.console.widgets.pane import Titles
from aios_tui.formatting import models
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase
    from engine.cores.port import CoreInfo, ModelInfo


class ModelsScreen(ConsoleScreen[None]):
    """One line a model, over all cores, drawn from the view state. Opening it has the cores list their models again."""

    AUTO_FOCUS = "#models"
    SCOPE = "models"

    @property
    def rows(self) -> ModelList:
        return self.query_one(ModelList)

    def compose(self) -> ComposeResult:
        rows = ModelList()
        yield Flow(id="head", gap=2)
        yield Titles(rows)
        yield rows
        yield Static("", id="note", markup=False)
        yield Hints()

    def on_mount(self) -> None:
        self.console.frames.subscribe(self, self._on_frame)
        self.set_class(self.app.size.height < 14, "-tiny")
        self._draw()
        self.action_refresh()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height < 14, "-tiny")

    # Drawing

    def _on_frame(self, changes: Changes) -> None:
        if changes.cores or changes.clock or changes.everything:
            self._draw()

    def _draw(self) -> None:
        view = self.console.view
        self.rows.show(rows_of(view, self.console.model_jobs.running), view.now, several=len(view.cores) > 1)
        self.query_one("#head", Flow).update(
            [Content.styled("Models", "bold"), *map(_core_summary, view.cores.values())]
        )
        self.query_one(Titles).redraw()
        self._draw_selection()

    def _draw_selection(self) -> None:
        """Draw the note and the hints, which depend on the selected model."""
        row = self.rows.row
        note = self.query_one("#note", Static)
        info = None if row is None else row.info
        warning = "" if info is None else models.warning(info)
        text = warning or ("" if info is None else info.detail)
        note.update(Content.styled(one_line(text, 200), "$warning" if warning else "$muted"))
        self.draw_hints()

    def is_available(self, action: str) -> bool:
        row = self.rows.row
        info = None if row is None else row.info
        managed = row is not None and row.core in self.console.model_jobs.managers()
        idle = managed and info is not None and row is not None and row.job is None
        available = {
            "open": managed and info is not None,
            "pull_model": bool(self.console.model_jobs.managers()),
            "load": idle and info is not None and not info.loaded,
            "unload": idle and info is not None and info.loaded,
            "delete": idle,
            "default": idle and row is not None and not row.default,
        }
        return available.get(action, True)

    def is_offered(self, action: str) -> bool:
        row = self.rows.row
        return action != "cancel" or (row is not None and row.job is not None)

    @on(LineList.Pointed)
    def _pointed(self) -> None:
        self._draw_selection()

    # What keys do

    def action_leave(self) -> None:
        self.app.clear_notifications()  # toasts of this screen would cover the quick line
        self.dismiss(None)

    def action_refresh(self) -> None:
        if self.console.live:
            self.console.act("refresh")

    def action_move(self, direction: str) -> None:
        self.rows.action_move(direction)

    @on(LineList.Opened)
    def action_details(self) -> None:
        from aios_tui.console.screens.model_details import ModelScreen

        if (found := self._manageable()) is not None:
            self.app.push_screen(ModelScreen(found.core, found.model))

    def action_pull_model(self) -> None:
        row = self.rows.row
        ask_for_pull(self.console, core=None if row is None else row.core, started=self._select_pull)

    def _select_pull(self, core: str, model: str) -> None:
        """Select a pull that has started, so that it can be stopped."""
        self._draw()
        self.rows.point_to(core, model)

    def action_cancel(self) -> None:
        row = self.rows.row
        jobs = self.console.model_jobs
        if row is None or row.job is None or not jobs.cancel(row.job.core, row.job.model):
            self._warn("this model is not being pulled or loaded")

    def action_load(self) -> None:
        self._act(lambda info: not info.loaded, "is already loaded", partial(self.console.model_jobs.start, "load"))

    def action_unload(self) -> None:
        self._act(lambda info: info.loaded, "is not loaded", partial(self.console.model_jobs.start, "unload"))

    def action_default(self) -> None:
        self._act(lambda info: info.chats, "can't answer prompts", self.console.model_jobs.choose_default)

    def _act(self, fits: Callable[[ModelInfo], bool], unfit: str, act: Callable[[str, str], None]) -> None:
        """Call `act` with core and name of the selected model if it fits; else say that it is `unfit`."""
        if (row := self._manageable()) is not None and row.info is not None:
            if fits(row.info):
                act(row.core, row.model)
            else:
                self._warn(f"{row.model} {unfit}")

    def action_delete(self) -> None:
        from aios_tui.console.screens.delete_model import DeleteModelScreen

        row = self._manageable()
        if row is None or row.info is None:
            return

        def on_close(confirmed: bool | None) -> None:
            if confirmed:
                self.console.model_jobs.start("delete", row.core, row.model)

        self.app.push_screen(DeleteModelScreen(row.core, row.info), on_close)

    def _warn(self, text: str) -> None:
        self.console.notify(text, severity="warning")

    def _manageable(self) -> ModelRow | None:
        """The selected model if it is installed and its core manages models; else None, after a notice."""
        row = self.rows.row
        if row is None or row.info is None:
            self._warn("no model is selected" if row is None else f"{row.model} is still being pulled")
        elif not self.console.live:
            self._warn("no core is running")
        elif row.core not in self.console.model_jobs.managers():
            self._warn(f"the core {row.core} has no models to manage")
        else:
            return row
        return None


def ask_for_pull(
    app: ConsoleBase,
    *,
    core: str | None = None,
    model: str = "",
    started: Callable[[str, str], None] = lambda _core, _model: None,
) -> None:
    """Ask which model to pull, and to which core; `core` and `model` are the answers offered first.

    `started` is called with both once the pull has started.
    """
    from aios_tui.console.screens.pull_model import PullScreen

    managing = list(app.model_jobs.managers())
    if not managing:
        none = "no core is running" if not app.live else "none of the cores can pull models; an Ollama server can"
        app.notify(none, severity="warning")
        return

    def on_close(answer: tuple[str, str] | None) -> None:
        if answer is not None:
            app.model_jobs.start("pull", *answer)
            started(*answer)

    managing.sort(key=lambda name: name != core)
    app.push_screen(PullScreen(managing, model), on_close)


def _core_summary(core: CoreInfo) -> Content:
    """A core's name, health, version, address and detail."""
    facts = " ".join(filter(None, (core.version, core.where)))
    return Content.assemble(
        (one_line(core.name, 32), "bold"),
        (" ● " if core.healthy else " ○ ", "$success" if core.healthy else "$error"),
        (one_line(facts, 100), "$muted"),
        (f"  {one_line(core.detail, 200)}" if core.detail else "", "$warning" if core.healthy else "$error"),
    )
