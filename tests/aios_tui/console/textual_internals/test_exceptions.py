"""An unexpected exception ends the app without Textual's report, and is available to the caller."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from textual.app import App

from aios_tui.console.textual_internals.exceptions import QuietExceptions, exception_of


class Unexpected(Exception):
    pass


class InHandler(QuietExceptions):
    def on_mount(self) -> None:
        raise Unexpected("secret prompt")


class InWorker(QuietExceptions):
    def on_mount(self) -> None:
        self.run_worker(self._fail())

    async def _fail(self) -> None:
        raise Unexpected("secret prompt")


class Calm(QuietExceptions):
    def on_mount(self) -> None:
        self.exit(0)


@pytest.mark.parametrize("kind", [InHandler, InWorker])
async def test_the_exception_is_returned_and_nothing_is_printed(
    kind: type[QuietExceptions], capsys: pytest.CaptureFixture[str]
) -> None:
    app = kind()
    assert await app.run_async(headless=True) is None
    assert isinstance(exception_of(app), Unexpected)
    assert app.return_code == 1
    assert "".join(capsys.readouterr()) == ""


async def test_an_app_that_ends_in_order_has_no_exception() -> None:
    app = Calm()
    assert await app.run_async(headless=True) == 0
    assert exception_of(app) is None


def test_textual_still_calls_what_is_overridden() -> None:
    assert "_fatal_error()" in inspect.getsource(App._handle_exception)
    assert "_close_messages_no_wait()" in inspect.getsource(App._fatal_error)
    fresh: App[Any] = App()
    assert fresh._exception is None
