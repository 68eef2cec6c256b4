"""Where to write a task to."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from aios_tui.console.state.task_details import TaskPage
from aios_tui.console.state.task_markdown import markdown_of, write_private
from aios_tui.console.widgets.line_input import LineInput
from engine.errors import UsageError
from engine.sanitise import one_line, sanitise

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase


class PathInput(LineInput):
    """A path; what is pasted is cleaned first."""

    def on_paste(self, event: events.Paste) -> None:
        event.text = sanitise(event.text).strip()


class ExportScreen(ModalScreen[Path | None]):
    """Writes a task to a chosen file, which its owner alone may read. One that is there is replaced only when asked."""

    CSS_PATH = "export.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "leave")]

    def __init__(self, page: TaskPage) -> None:
        super().__init__()
        self._page = page
        self._replace: Path | None = None

    @property
    def console(self) -> ConsoleBase:
        return cast("ConsoleBase", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(id="export") as box:
            box.border_title = Content(f"Export task {self._page.id}")
            box.border_subtitle = Content("enter write   esc leave")
            path = PathInput(str(Path.cwd() / f"task-{self._page.id}.md"), id="path", compact=True)
            path.cursor_blink = False
            yield path
            yield Static("", id="problem", markup=False)

    @on(Input.Changed)
    def _edited(self) -> None:
        self._replace = None
        self.query_one("#problem", Static).update("")

    @on(Input.Submitted)
    async def _write(self, event: Input.Submitted) -> None:
        event.stop()
        given = event.value.strip()
        if not given:
            self._say("write the path of a file")
            return
        try:
            path = _path(given)
            text = markdown_of(self._page, datetime.now().astimezone())
            await asyncio.to_thread(write_private, path, text, overwrite=path == self._replace)
        except FileExistsError:
            self._replace = path
            self._say(f"{path.name} is there already; enter again replaces it")
        except (UsageError, RuntimeError) as error:
            self._say(str(error))
        else:
            self.console.tell(f"written to {path}")
            self.dismiss(path)

    def _say(self, text: str) -> None:
        self.query_one("#problem", Static).update(Content(one_line(text)))


def _path(given: str) -> Path:
    """A path as it was written, from the home folder or the one the program was started in. Raises RuntimeError."""
    return Path(given).expanduser().absolute()
