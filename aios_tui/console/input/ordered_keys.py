"""Keys act in the order in which they came, however close together.

Textual gives a printable key to the focused input at once, but runs a binding only after its key has gone through the
queues of all widgets up to the app, and moves the focus later still: of keys that come in one read of the terminal,
typed letters overtake backspace, enter, and the `n` that opens a form. Here one key is done before the next is begun.
"""

from __future__ import annotations

import asyncio
from collections import deque

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget

CAUGHT_UP_S = 2.0
"""How long keys wait at most for a screen that is being opened, or a widget that gets the focus."""


class OrderedKeys(App[int]):
    """An app that carries keys and pastes out one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[events.Key | events.Paste] = deque()
        self._typing = False
        self._opened: Screen[object] | None = None
        self._held: Widget | None = None

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded and self.screen_stack:
            self._typed.append(event)
            if not self._typing:
                self._typing = True
                await self._next_typed()
        else:
            await super().on_event(event)

    async def _next_typed(self) -> None:
        """Carry one out. The next comes after what this one put into the app's queue, a change of focus above all."""
        if not self._typed:
            self._typing = False
            return
        try:
            await self._carry_out(self._typed.popleft())
        finally:
            self._typing = self.call_later(self._next_typed)

    async def _carry_out(self, event: events.Key | events.Paste) -> None:
        await self._screen_open()
        if isinstance(event, events.Paste):
            self.before_paste()
            await self._hand_over(event)
            return
        self.app_focus = True
        if await self._check_bindings(event.key, priority=True):
            return
        focused = self.focused
        consumed = focused is not None and focused.check_consume_key(event.key, event.character)
        if consumed or not await self._check_bindings(event.key):
            await self._hand_over(event)

    async def _hand_over(self, event: events.Key | events.Paste) -> None:
        """Give it to the focused widget and wait until that has taken it, not only until it is in its queue."""
        focused = self.focused
        if focused is None:
            self.screen._forward_event(event)
            return
        if focused is not self._held:
            self._held = focused
            await _caught_up(focused)  # it may select its text when it gets the focus
        event._set_forwarded()
        with focused._context():
            await focused._dispatch_message(event)

    def before_paste(self) -> None:
        """For the app to choose where a paste goes that no widget is waiting for."""

    async def _screen_open(self) -> None:
        """Wait until a screen that was just opened has its widgets, and the focus is where it belongs."""
        screen = self.screen
        if screen is self._opened:
            return
        self._opened = screen
        await _caught_up(screen)


async def _caught_up(node: MessagePump) -> None:
    """Wait until a widget has dealt with what is in its queue now; not for ever."""
    ready = asyncio.Event()
    if node.call_later(ready.set):
        try:
            await asyncio.wait_for(ready.wait(), CAUGHT_UP_S)
        except TimeoutError:
            return  # the key goes where it would have gone without waiting
