"""A read-only window over another screen, scrolled by the keys of a list."""

from __future__ import annotations

from textual.containers import VerticalScroll

from aios_tui.console.screens.base import Dialog, move


class TextDialog(Dialog[None]):
    """Its text is in the one VerticalScroll that it has."""

    def action_move(self, direction: str) -> None:
        move(self.query_one(VerticalScroll), direction)
