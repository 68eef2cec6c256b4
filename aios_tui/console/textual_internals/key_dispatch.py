"""Handle one key or paste completely before the next.

Textual's public API can only post an event to a queue. The focused widget handles it later, and a binding runs later
still, once the event has gone through the queues of all widgets up to the app. `input.ordered_keys` has to know when a
key has been handled, so these functions make the calls that Textual makes itself, and await them.
"""

from __future__ import annotations

from typing import Any

from textual import events
from textual.app import App
from textual.widget import Widget


async def run_binding(app: App[Any], key: str, *, priority: bool = False) -> bool:
    """Run the binding of a key; with `priority`, only one that comes before the focused widget. False if none acts."""
    return await app._check_bindings(key, priority=priority)


async def handle_in(widget: Widget, event: events.Key | events.Paste) -> None:
    """Let a widget or screen handle an event, and return when it has. It is marked as forwarded, so it acts once."""
    event._set_forwarded()
    with widget._context():
        await widget._dispatch_message(event)
