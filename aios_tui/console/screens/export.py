"""The window that asks for the file to write a task to."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from aios_tui.console.screen_keys import hint_line
from aios_tui.console.screens.base import Dialog
from aios_tui.console.state.task_details import TaskPage
from aios_tui.console.state.task_markdown import markdown_of
from aios_tui.console.widgets.inputs import NameInput
from engine.errors import UsageError
from engine.files import write_private_text
from engine.sanitise import one_line


class ExportScreen(Dialog[Path | None]):
    """Writes a task to a file with mode 0600. An existing file is replaced only after a second enter."""

    SCOPE = "export"

    def __init__(self, page: TaskPage) -> None:
        super().__init__()
        self._page = page
        self._replace: Path | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="export", classes="dialog") as box:
            box.border_title = Content(f"Export task {self._page.id}")
            box.border_subtitle = Content(hint_line("export", "open", "back"))
            yield NameInput(str(Path.cwd() / f"task-{self._page.id}.md"), id="path", compact=True)
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
            self._show_problem("write the path of a file")
            return
        try:
            path = _path(given)
            text = markdown_of(self._page, datetime.now().astimezone())
            await asyncio.to_thread(write_export, path, text, overwrite=path == self._replace)
        except FileExistsError:
            self._replace = path
            self._show_problem(f"{path.name} exists; press enter again to replace it")
        except (UsageError, RuntimeError) as error:
            self._show_problem(str(error))
        else:
            self.console.notify(f"written to {path}")
            self.dismiss(path)

    def _show_problem(self, text: str) -> None:
        self.query_one("#problem", Static).update(Content(one_line(text)))


def write_export(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a file with mode 0600 into an existing folder; a mistyped path must not create folders.

    Raises:
        FileExistsError: `path` exists and `overwrite` is False.
        UsageError: the file can't be written; one line that names it.
    """
    if not path.parent.is_dir():
        raise UsageError(f"{path} can't be written: there is no such folder")
    write_private_text(path, text, overwrite=overwrite)


def _path(given: str) -> Path:
    """Resolve `~` and relative paths. Raises RuntimeError if the home folder is unknown."""
    return Path(given).expanduser().absolute()
