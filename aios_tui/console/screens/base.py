"""A screen over which forms and dialogs open."""

from __future__ import annotations

from textual.screen import Screen


class Beneath(Screen[None]):
    """Its line of keys, `#footer` or `#hints`, is hidden while another screen lies over it: they do nothing then."""

    def on_screen_suspend(self) -> None:
        self.add_class("-beneath")

    def on_screen_resume(self) -> None:
        self.remove_class("-beneath")
