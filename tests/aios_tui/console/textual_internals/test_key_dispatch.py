"""Textual still dispatches keys the way `key_dispatch` calls it."""

from __future__ import annotations

import inspect
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widgets import Input

from aios_tui.console.textual_internals.key_dispatch import handle_in, run_binding


class Probe(App[int]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "note('ordinary')"),
        Binding("f3", "note('priority')", priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def compose(self) -> ComposeResult:
        yield Input()

    def action_note(self, text: str) -> None:
        self.noted.append(text)


class Listening(Screen[None]):
    heard: ClassVar[list[str]] = []

    def on_key(self, event: events.Key) -> None:
        self.heard.append(event.key)


def test_the_private_methods_have_the_signatures_that_are_called() -> None:
    assert list(inspect.signature(App._check_bindings).parameters) == ["self", "key", "priority"]
    assert inspect.iscoroutinefunction(App._check_bindings)
    assert list(inspect.signature(MessagePump._dispatch_message).parameters) == ["self", "message"]
    assert inspect.iscoroutinefunction(MessagePump._dispatch_message)
    assert list(inspect.signature(events.Event._set_forwarded).parameters) == ["self"]
    assert list(inspect.signature(MessagePump._context).parameters) == ["self"]


async def test_a_binding_has_run_when_the_call_returns() -> None:
    app = Probe()
    async with app.run_test():
        assert await run_binding(app, "f3", priority=True)
        assert not await run_binding(app, "f2", priority=True)
        assert await run_binding(app, "f2")
        assert not await run_binding(app, "f9")
        assert app.noted == ["priority", "ordinary"]


async def test_a_widget_has_handled_a_key_and_a_paste_when_the_call_returns() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        field = app.query_one(Input)
        field.focus()
        await pilot.pause()
        key = events.Key("a", "a")
        await handle_in(field, key)
        assert field.value == "a"
        assert key.is_forwarded
        await handle_in(field, events.Paste("bc"))
        assert field.value == "abc"


async def test_the_screen_has_handled_a_key_when_no_widget_has_the_focus() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        screen = Listening()
        await app.push_screen(screen)
        await pilot.pause()
        await handle_in(app.screen, events.Key("a", "a"))
        assert screen.heard == ["a"]
