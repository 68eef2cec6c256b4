"""The console's lifecycle."""

from __future__ import annotations

from aios_tui.app import ConsoleApp
from tests.ui.doubles import FakeSession


async def test_the_console_opens_and_q_leaves_it_with_the_session_closed() -> None:
    session = FakeSession()
    app = ConsoleApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.live
        await pilot.press("q")
        await pilot.pause()
    assert app.return_value == 0
    assert session.closed == 1
