"""All details of one model."""

from __future__ import annotations

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from aios_tui.console.screens.base import TextDialog
from aios_tui.formatting import models
from engine.errors import AiosError
from engine.sanitise import one_line, sanitise

LABEL = 12


class ModelScreen(TextDialog):
    """Asks the core when it opens, and shows one labelled fact a line."""

    AUTO_FOCUS = "#facts"
    SCOPE = "model"

    def __init__(self, core: str, model: str) -> None:
        super().__init__()
        self.core, self.model = core, model

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="dialog") as box:
            box.border_title = Content(one_line(self.model, 60))
            box.border_subtitle = Content("j/k scroll   esc back")
            with VerticalScroll(id="facts"):
                yield Static("asking the server …", id="text", markup=False)

    def on_mount(self) -> None:
        self._read()

    @work(exclusive=True, group="history")
    async def _read(self) -> None:
        keeper = self.console.model_jobs.managers().get(self.core)
        static = self.query_one("#text", Static)
        if keeper is None:
            static.update(Content(f"the core {self.core} gives no details"))
            return
        try:
            shown = await keeper.show(self.model)
        except AiosError as error:
            static.update(Content.styled(one_line(str(error)), "$error"))
            return
        lines = []
        for label, text in models.details(shown, self.console.now()):
            first, *rest = sanitise(text).split("\n")
            lines.append(Content.assemble((label.ljust(LABEL), "$muted"), first))
            lines += [Content(" " * LABEL + line) for line in rest]
        static.update(Content("\n").join(lines))
