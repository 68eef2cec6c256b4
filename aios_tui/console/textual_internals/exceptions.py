"""An unexpected exception ends the app quietly, and the caller raises it.

Textual prints its own report with all local variables, prompts included, and gives the caller no public way to the
exception: `run_async` returns None. Here the report is left out, and `exception_of` returns the exception, which is
logged and shown as one line.
"""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.worker import WorkerFailed


class QuietExceptions(App[int]):
    """An app that ends at an unexpected exception without Textual's report."""

    def _fatal_error(self) -> None:
        self._close_messages_no_wait()


def exception_of(app: App[Any]) -> BaseException | None:
    """The exception that ended the app, if one did; of a worker, the one raised in it."""
    found = app._exception
    return found.error if isinstance(found, WorkerFailed) else found
