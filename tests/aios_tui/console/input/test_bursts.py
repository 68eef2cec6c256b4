"""Keys that come all at once, as from a paste, a fast typist or a terminal that was busy, act in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import TextArea

from aios_tui.console.app import ConsoleApp
from aios_tui.console.screens.quit import QuitScreen
from aios_tui.console.screens.submit import SubmitScreen
from engine.task import TaskSpec
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.helpers import lines, opened, text
from tests.aios_tui.console.settling import until

Specs = Sequence[TaskSpec]


def burst(app: ConsoleApp, keys: Sequence[str | events.Paste]) -> None:
    """Put keys into the app's queue, as the terminal's reader does: none waits for what the one before it did."""
    for key in keys:
        if isinstance(key, events.Paste):
            app.post_message(key)
        else:
            app.post_message(events.Key(key, {"enter": "\r", "space": " "}.get(key, key if len(key) == 1 else None)))


def prompts(runtime: FakeRuntime) -> list[str]:
    return [spec.prompt for name, *rest in runtime.fake.calls if name == "submit_many" for spec in cast(Specs, rest[0])]


async def done(app: ConsoleApp, pilot: Pilot[int]) -> None:
    await pilot.pause()
    await until(lambda: app.keys_handled, pilot)


async def test_quick_line_keys_act_in_order() -> None:
    async with opened() as (app, pilot, _):
        burst(app, ["i", "a", "b", "c", "backspace", "d", "backspace", "e"])
        await done(app, pilot)
        assert app.main.quick_line.value == "abe"
        burst(app, ["home", "x", "end", "y", "ctrl+u", events.Paste("new text"), "left", "!"])
        await done(app, pilot)
        assert app.main.quick_line.value == "new tex!t"


async def test_form_keys_act_in_order_from_the_key_that_opens_it() -> None:
    async with opened() as (app, pilot, runtime):
        burst(app, ["n", "a", "b", "backspace", "c", "enter", "d"])
        await done(app, pilot)
        assert isinstance(app.screen, SubmitScreen)
        assert app.screen.query_one(TextArea).text == "ac\nd"
        burst(app, ["e", "ctrl+s"])
        await until(lambda: prompts(runtime), pilot)
        assert prompts(runtime) == ["ac\nde"]


async def test_several_tasks_in_one_burst_and_keys_of_the_panes_behind_them() -> None:
    async with opened() as (app, pilot, runtime):
        burst(app, ["i", *"one", "enter", *"two", "enter", "escape", "3", "slash", *"ab", "escape", "1", "z"])
        await until(lambda: len(prompts(runtime)) == 2, pilot)
        await done(app, pilot)
        assert prompts(runtime) == ["one", "two"]
        assert app.main.pane == "queue"
        assert app.main.has_class("-zoom")
        assert app.main.quick_line.value == ""


async def test_a_pane_key_counts_for_the_key_right_behind_it() -> None:
    async with opened() as (app, pilot, _):
        burst(app, ["3", "slash", "a", "b"])
        await done(app, pilot)
        panes = app.main.panes
        assert panes["results"].filter_input.value == "ab"
        assert panes["queue"].filter_input.has_class("-closed")
        burst(app, ["enter", "1", "3", "tab", "tab", "slash", "c"])  # to the queue, the results, the queue, activity
        await done(app, pilot)
        assert panes["activity"].filter_input.value == "c"
        burst(app, ["escape", "z", "1", "z", "3", "shift+tab", "i", "x", "escape", "escape"])
        await done(app, pilot)
        assert (app.main.pane, app.main.has_class("-zoom")) == ("activity", False)


async def test_completion_by_tab_right_behind_the_letters() -> None:
    async with opened() as (app, pilot, _):
        burst(app, ["i", "@", *"story", "tab", *"hi"])
        await done(app, pilot)
        assert app.main.quick_line.value == "@story_teller hi"


async def test_a_paste_on_a_pane_goes_into_the_quick_line() -> None:
    async with opened() as (app, pilot, runtime):
        burst(app, [events.Paste("run r\nand n")])
        await done(app, pilot)
        assert app.main.quick_line.value == "run r and n"
        assert not prompts(runtime)


async def test_of_a_text_longer_than_the_line_the_end_is_seen_and_by_home_the_beginning() -> None:
    async with opened(size=(80, 24)) as (app, pilot, _):
        burst(app, [events.Paste("first " + "goose " * 17_000 + "last")])
        await done(app, pilot)
        assert len(app.main.quick_line.value) > 100_000
        await until(lambda: lines(app)[-2].rstrip().endswith("goose goose last"), pilot)
        await pilot.press("home")
        await until(lambda: lines(app)[-2].startswith(" › first goose goose"), pilot)


async def test_enter_on_an_empty_line_leaves_it() -> None:
    async with opened() as (app, pilot, runtime):
        burst(app, ["i"])
        await done(app, pilot)
        assert "enter submit  esc back" in text(app)
        assert " ›  write a task here" in text(app).replace("› ", "›  ")
        burst(app, ["enter"])
        await until(lambda: app.focused is app.main.queue_list, pilot)
        assert not prompts(runtime)
        assert "i  write a task here" in text(app)


@pytest.mark.parametrize(
    "keys",
    [["t", "enter", "enter"], ["t", "enter", "escape"], ["t", "escape", "escape"], ["f1", "escape", "escape"]],
    ids=" ".join,
)
async def test_a_window_closes_once_however_soon_the_next_key_comes(keys: list[str]) -> None:
    async with opened() as (app, pilot, _):
        burst(app, keys)
        await done(app, pilot)
        await until(lambda: app.screen is app.main, pilot)


async def test_the_quit_window_closes_once_however_soon_the_next_key_comes() -> None:
    async with opened() as (app, pilot, _):
        app.push_screen(QuitScreen())
        await pilot.pause()
        burst(app, ["j", "j", "enter", "escape", "enter"])
        await done(app, pilot)
        await until(lambda: not isinstance(app.screen, QuitScreen), pilot)
