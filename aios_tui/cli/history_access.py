"""Read the history from a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from aios_tui.cli.options import load_settings
from aios_tui.cli.output import print_note

if TYPE_CHECKING:
    from persistence import History

T = TypeVar("T")


def read_history(query: Callable[[History], Awaitable[T]], default: T) -> T:
    """Return the result of `query`; `default`, after a message, when the default history does not exist yet.

    Raises:
        StoreError: the history that the settings name does not exist, or can't be read.
    """
    loaded = load_settings()
    path = loaded.settings.db
    if "db" not in loaded.origins and not path.exists():
        print_note(f"no history yet: {path}")
        return default

    async def read() -> T:
        from persistence import History

        async with History(path) as history:
            return await query(history)

    return asyncio.run(read())
