"""The models of every core: what is installed and loaded, and fetching, loading, unloading and deleting them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from aios_tui.console.screens.base import Beneath
from aios_tui.console.state.view_state import Changes
from aios_tui.console.widgets.hint_bar import Flow, Hints
from aios_tui.console.widgets.line_list import LineList
from aios_tui.console.widgets.model_list import ModelList, ModelRow, rows_of
from aios_tui.console.widgets.pane import Titles
from aios_tui.formatting import models
from engine.errors import AiosError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase
    from engine.cores.port import CoreInfo

KEYS: tuple[tuple[str, str, str], ...] = (
    ("escape,q,m", "leave", "back to the main screen; a pull goes on"),
    ("enter", "details", "all about the model"),
    ("p", "pull", "fetch a model: type its name"),
    ("x", "stop", "stop the pull or the load; the next pull goes on from there"),
    ("l", "load", "have the model in memory now"),
    ("u", "unload", "take it out of memory now"),
    ("equals_sign", "default", "have tasks that name no model answered by it, until the program ends"),
    ("d", "delete", "delete the model, after asking"),
    ("r", "look", "ask the cores for their models now"),
    ("j,down", "move('down')", "one line down"),
    ("k,up", "move('up')", "one line up"),
    ("g,home", "move('top')", "the first"),
    ("G,end", "move('bottom')", "the last"),
    ("pagedown,ctrl+f", "move('page_down')", "a page down"),
    ("pageup,ctrl+b", "move('page_up')", "a page up"),
    ("t", "act('theme')", "choose a colour theme"),
    ("question_mark", "help", "this list"),
)


class ModelsScreen(Beneath):
    """A line a model, over all cores. What it shows is the view state's; it asks the cores to look when it opens."""

    CSS_PATH = "models.tcss"
    AUTO_FOCUS = "#models"
    BINDINGS: ClassVar[list[BindingType]] = [Binding(keys, action, words, show=False) for keys, action, words in KEYS]

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

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
        self.action_look()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height < 14, "-tiny")

    # Drawing

    def _on_frame(self, changes: Changes) -> None:
        if changes.cores or changes.clock or changes.everything:
            self._draw()

    def _draw(self) -> None:
        view = self.console.view
        keepers = len(view.cores) > 1
        self.rows.show(rows_of(view, self.console.model_jobs.running), view.now, several=keepers)
        self.query_one("#head", Flow).update([Content.styled("Models", "bold"), *map(_core_words, view.cores.values())])
        self.query_one(Titles).redraw()
        self._draw_rest()

    def _draw_rest(self) -> None:
        """What is about the one that is pointed at."""
        row = self.rows.row
        note = self.query_one("#note", Static)
        told = "" if row is None or row.info is None else models.warning(row.info) or row.info.detail
        note.update(Content.styled(one_line(told, 200), "$warning" if row and row.info and models.warning(row.info)
                                   else "$muted"))  # fmt: skip
        self.query_one("#hints", Flow).update([_hint(*hint) for hint in self._hints(row)])

    def _hints(self, row: ModelRow | None) -> list[tuple[str, str, bool]]:
        info = None if row is None else row.info
        kept = row is not None and row.core in self.console.model_jobs.keepers()
        idle = kept and info is not None and row is not None and row.job is None
        return [
            ("enter", "details", kept and info is not None),
            ("p", "pull", bool(self.console.model_jobs.keepers())),
            *([("x", "stop", True)] if row is not None and row.job is not None else []),
            ("l", "load", idle and info is not None and not info.loaded),
            ("u", "unload", idle and info is not None and info.loaded),
            ("d", "delete", idle),
            ("=", "default", idle and row is not None and not row.default),
            ("r", "look", True),
            ("esc", "back", True),
            ("?", "help", True),
        ]

    @on(LineList.Pointed)
    def _pointed(self) -> None:
        self._draw_rest()

    @work(exclusive=True, group="history")
    async def _look(self) -> None:
        try:
            await self.console.runtime.kernel.inspect()
        except AiosError as error:
            self.console.tell(str(error), "error")
        self.console.bridge.flush()

    # What keys do

    def action_leave(self) -> None:
        self.app.clear_notifications()  # what was said here would cover the quick line there
        self.dismiss(None)

    def action_look(self) -> None:
        if self.console.live:
            self._look()

    def action_act(self, action: str) -> None:
        self.console.act(action)

    def action_help(self) -> None:
        from aios_tui.console.screens.help import HelpScreen

        self.app.push_screen(HelpScreen("models", keys=[(keys, words) for keys, _, words in KEYS]))

    def action_move(self, how: str) -> None:
        self.rows.action_move(how)

    @on(LineList.Opened)
    def action_details(self) -> None:
        from aios_tui.console.screens.model import ModelScreen

        row = self._kept()
        if row is not None:
            self.app.push_screen(ModelScreen(row.core, row.model))

    def action_pull(self) -> None:
        row = self.rows.row
        ask_for_pull(self.console, core=None if row is None else row.core, begun=self._pulling)

    def _pulling(self, core: str, model: str) -> None:
        """A pull has begun: point at it, so that it can be stopped."""
        self._draw()
        self.rows.point_to(core, model)

    def action_stop(self) -> None:
        row = self.rows.row
        jobs = self.console.model_jobs
        if row is None or row.job is None or not jobs.cancel(row.job.core, row.job.model):
            self.console.tell("nothing is being pulled or loaded here", "warning")

    def action_load(self) -> None:
        row = self._kept()
        if row is not None and row.info is not None:
            if row.info.loaded:
                self.console.tell(f"{row.model} is in memory already", "warning")
            else:
                self.console.model_jobs.load(row.core, row.model)

    def action_unload(self) -> None:
        row = self._kept()
        if row is not None and row.info is not None:
            if not row.info.loaded:
                self.console.tell(f"{row.model} is not in memory", "warning")
            else:
                self.console.model_jobs.unload(row.core, row.model)

    def action_default(self) -> None:
        row = self._kept()
        if row is not None and row.info is not None:
            if row.info.chats:
                self.console.model_jobs.choose_default(row.core, row.model)
            else:
                self.console.tell(f"{row.model} cannot answer a prompt", "warning")

    def action_delete(self) -> None:
        from aios_tui.console.screens.delete_model import DeleteModelScreen

        row = self._kept()
        if row is None or row.info is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.console.model_jobs.delete(row.core, row.model)

        self.app.push_screen(DeleteModelScreen(row.core, row.info), answered)

    def _kept(self) -> ModelRow | None:
        """The installed model that is pointed at, if its core lets its models be managed; says why not."""
        row = self.rows.row
        if row is None or row.info is None:
            self.console.tell("no model is chosen" if row is None else f"{row.model} is still being pulled", "warning")
        elif not self.console.live:
            self.console.tell("no core is running", "warning")
        elif row.core not in self.console.model_jobs.keepers():
            self.console.tell(f"the core {row.core} has no models to manage", "warning")
        else:
            return row
        return None


def ask_for_pull(
    app: ConsoleBase,
    *,
    core: str | None = None,
    model: str = "",
    begun: Callable[[str, str], None] = lambda _core, _model: None,
) -> None:
    """Ask which model to pull, and where to; `core` and `model` are there to begin with.

    `begun` is called with both when that was answered and the pull has begun.
    """
    from aios_tui.console.screens.pull_model import PullScreen

    keepers = list(app.model_jobs.keepers())
    if not keepers:
        none = "no core is running" if not app.live else "none of the cores can pull models; an Ollama server can"
        app.tell(none, "warning")
        return

    def answered(asked: tuple[str, str] | None) -> None:
        if asked is not None:
            app.model_jobs.pull(*asked)
            begun(*asked)

    keepers.sort(key=lambda name: name != core)
    app.push_screen(PullScreen(keepers, model), answered)


def _core_words(core: CoreInfo) -> Content:
    """A core's name, whether it is well, its version and address, and what is to be said of it."""
    facts = " ".join(filter(None, (core.version, core.where)))
    return Content.assemble(
        (one_line(core.name, 32), "bold"),
        (" ● " if core.healthy else " ○ ", "$success" if core.healthy else "$error"),
        (one_line(facts, 100), "$muted"),
        (f"  {one_line(core.detail, 200)}" if core.detail else "", "$warning" if core.healthy else "$error"),
    )


def _hint(key: str, name: str, able: bool) -> Content:
    return Content.assemble((key, "bold $accent" if able else "$frame"), (f" {name}", "$muted" if able else "$frame"))
