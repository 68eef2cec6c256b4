"""The screen of a console as plain text."""

from __future__ import annotations

from typing import Any

from textual.app import App


def screen_text(app: App[Any]) -> str:
    """Return the screen as it was last drawn, one line per row, without trailing spaces."""
    width, _ = app.size
    rows = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in row).rstrip()[: width * 2] for row in rows)
