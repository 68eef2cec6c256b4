"""Textual still scrolls the way `scrolling` sets it."""

from __future__ import annotations

import inspect

from textual.app import App, ComposeResult
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.widgets import Input

from aios_tui.console.textual_internals.scrolling import scroll_to_cursor_from_the_start, set_scroll_size

LONG = "word " * 100 + "end"


class Scrolling(ScrollView):
    layouts = 0

    def watch_virtual_size(self) -> None:
        self.layouts += 1


class Field(Input):
    def on_mount(self) -> None:
        scroll_to_cursor_from_the_start(self)


class Probe(App[int]):
    def compose(self) -> ComposeResult:
        yield Field(LONG, id="field")
        yield Input(LONG, id="plain", select_on_focus=False)
        yield Scrolling()


def test_the_private_names_are_there() -> None:
    assert list(inspect.signature(ScrollView._scroll_update).parameters) == ["self", "virtual_size"]
    assert isinstance(vars(Input)["_cursor_offset"], property)
    assert Input()._initial_value is True


async def test_the_scrollbar_follows_a_new_size_without_a_watcher_or_layout() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        view = app.query_one(Scrolling)
        view.virtual_size = Size(10, 1_000)
        await pilot.pause()
        before = view.layouts
        set_scroll_size(view, Size(10, 5_000))
        assert view.virtual_size == Size(10, 5_000)
        assert view.vertical_scrollbar.window_virtual_size == 5_000
        assert view.max_scroll_y > 4_900
        assert view.layouts == before


async def test_the_end_of_a_long_first_text_is_in_sight() -> None:
    app = Probe()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert app.query_one("#field", Input).scroll_offset.x > 400
        assert app.query_one("#plain", Input).scroll_offset.x == 0  # the work-around is still needed
