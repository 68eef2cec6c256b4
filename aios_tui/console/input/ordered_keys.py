"""Keys act in the order in which they were pressed, however close together.

The guarantee: when a key is handled, everything that the keys before it did is visible. A letter goes to the input
that the key before it focused, into the text that the backspace before it shortened, on the screen that the key before
it opened. A fast typist, a terminal that was busy, or a macro sends many keys in one read.

Textual does not give this guarantee. It hands a printable key to the focused input at once, but runs a binding only
after its key has gone through the queues of all widgets up to the app, and moves the focus later still. Of keys that
arrive in one read, letters overtake backspace, enter, and the `n` that opens a form.

So this app keeps a queue of its own for keys and pastes, and handles one completely before the next:

1. Wait until a screen that was just opened has mounted its widgets (it sets the focus while it mounts).
2. Run a priority binding; else let the focused widget take the key if it consumes it; else run the ordinary binding;
   else dispatch the key to the focused widget. This is Textual's own order of precedence.
3. Schedule the next key with `call_later`, behind whatever this one put into the app's queue, above all a change of
   focus.

Rejected alternatives: waiting until all queues are empty (`Pilot.pause` does so; it takes a refresh for each key, and
a stream of tokens never leaves the queues empty); handling keys in the driver's thread (not where the widgets live);
making every binding a priority binding (inputs would lose letters to it). Mouse events are not ordered: nobody clicks
within the milliseconds that a key takes.

A widget or screen that hangs must not lock the keyboard, so each wait ends after CAUGHT_UP_S. The private calls that
this needs are in `textual_internals.key_dispatch`.
"""

from __future__ import annotations

import asyncio
from collections import deque

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget

from aios_tui.console.textual_internals.key_dispatch import handle_in, run_binding

CAUGHT_UP_S = 2.0
"""Longest wait of a key for a screen that is opening, or for a widget that gets the focus."""


class OrderedKeys(App[int]):
    """An app that handles keys and pastes one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting_keys: deque[events.Key | events.Paste] = deque()
        self._handling_keys = False
        self._ready_screen: Screen[object] | None = None
        self._ready_widget: Widget | None = None

    @property
    def keys_handled(self) -> bool:
        """True when every key that has arrived is handled."""
        return not self._waiting_keys and not self._handling_keys

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded and self.screen_stack:
            self._waiting_keys.append(event)
            if not self._handling_keys:
                self._handling_keys = True
                await self._handle_next()
        else:
            await super().on_event(event)

    async def _handle_next(self) -> None:
        """Handle one key. The next follows after what this one put into the app's queue."""
        if not self._waiting_keys:
            self._handling_keys = False
            return
        try:
            await self._handle(self._waiting_keys.popleft())
        finally:
            self._handling_keys = self.call_later(self._handle_next)

    async def _handle(self, event: events.Key | events.Paste) -> None:
        await self._wait_for_screen()
        if isinstance(event, events.Paste):
            self.before_paste()
            await self._dispatch_to_focus(event)
            return
        self.app_focus = True
        if await run_binding(self, event.key, priority=True):
            return
        focused = self.focused
        consumed = focused is not None and focused.check_consume_key(event.key, event.character)
        if consumed or not await run_binding(self, event.key):
            await self._dispatch_to_focus(event)

    async def _dispatch_to_focus(self, event: events.Key | events.Paste) -> None:
        """Let the focused widget, or else the screen, handle the event, and wait until it has."""
        target = self.focused or self.screen
        if target is not self._ready_widget:
            self._ready_widget = target
            await _queue_handled(target)  # it may select its text when it gets the focus
        await handle_in(target, event)

    def before_paste(self) -> None:
        """Override to choose the target of a paste when no widget expects text."""

    async def _wait_for_screen(self) -> None:
        """Wait until a screen that was just opened has its widgets, and the focus is set."""
        screen = self.screen
        if screen is self._ready_screen:
            return
        self._ready_screen = screen
        await _queue_handled(screen)


async def _queue_handled(node: MessagePump) -> None:
    """Wait until a node has handled what is in its queue now; at most CAUGHT_UP_S."""
    handled = asyncio.Event()
    if node.call_later(handled.set):
        try:
            await asyncio.wait_for(handled.wait(), CAUGHT_UP_S)
        except TimeoutError:
            return  # the key goes where it would have gone without waiting
