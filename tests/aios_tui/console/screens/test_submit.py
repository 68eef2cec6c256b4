"""The submit form by its keys."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static, TextArea

from aios_tui.console.app import ConsoleApp
from aios_tui.console.preferences import FormValues, Preferences
from aios_tui.console.screens.submit import LONG_KEYS, SHORT_KEYS, SubmitScreen
from aios_tui.console.widgets.priority_picker import PriorityPicker
from engine.agents.catalogue import AgentCatalogue
from engine.agents.declarative import parse_agent
from engine.cores.port import CoreInfo, ModelInfo
from engine.events import CoreChanged, Event
from engine.task import DEFAULT_PRIORITY, TaskSpec
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.helpers import text
from tests.aios_tui.console.memory_runs import MemoryRuns

CORE = CoreInfo("ollama", True, "qwen3:8b", (ModelInfo("qwen3:8b"), ModelInfo("[/foo]:1b"), ModelInfo("a\x1b]0;x\x07")))


def app_with(memory: Preferences | None = None, before: Sequence[Event] = (CoreChanged(0.0, CORE),)) -> ConsoleApp:
    return ConsoleApp(FakeRuntime(before), preferences=memory, runs=MemoryRuns())


async def opened(app: ConsoleApp, pilot: Pilot[int]) -> SubmitScreen:
    await pilot.pause()
    await pilot.press("n")
    await pilot.pause()
    assert isinstance(app.screen, SubmitScreen)
    return app.screen


def submitted(app: ConsoleApp) -> list[TaskSpec]:
    runtime = app.runtime
    assert isinstance(runtime, FakeRuntime)
    return [spec for name, *rest in runtime.fake.calls if name == "submit_many" for spec in _specs(rest[0])]


def _specs(value: object) -> list[TaskSpec]:
    assert isinstance(value, list)
    return value


def problems(screen: SubmitScreen) -> str:
    return str(screen.query_one("#problems", Static).render())


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 10)])
async def test_a_task_is_written_and_submitted(size: tuple[int, int]) -> None:
    app = app_with()
    async with app.run_test(size=size) as pilot:
        screen = await opened(app, pilot)
        assert screen.query_one(TextArea).has_focus
        await pilot.press(*"One", "enter", *"two")
        await pilot.press("tab", "enter", *"story", "enter", "tab", "2", "tab", "enter", "down", "enter")
        await pilot.press("tab", "backspace", "3", "ctrl+s")
        await pilot.pause()
        assert app.screen is app.main
        spec = TaskSpec(prompt="One\ntwo", agent="story_teller", priority=2, model="qwen3:8b")
        assert submitted(app) == [spec] * 3
        for field in screen.query("Select, PriorityPicker, #count, #prompt"):
            assert field.region.height >= 1


async def test_what_is_missing_is_said_in_a_line_each() -> None:
    app = app_with()
    async with app.run_test(size=(40, 10)) as pilot:
        screen = await opened(app, pilot)
        screen.query_one("#count", Input).value = "0"
        await pilot.press("space", "ctrl+s")
        await pilot.pause()
        assert problems(screen).splitlines() == [
            "prompt: write what the agent should do",
            "count: a number from 1 to 1,000",
        ]
        assert screen.query_one(TextArea).has_focus
        await pilot.press(*"hi")
        await pilot.pause()
        assert problems(screen) == ""
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert screen.query_one("#count", Input).has_focus
        assert problems(screen) == "count: a number from 1 to 1,000"
        assert submitted(app) == []
        assert screen.query_one("#problems").region.bottom <= 10


async def test_leaving_keeps_all_of_the_draft_and_submitting_nothing() -> None:
    memory = Preferences()
    app = app_with(memory)
    async with app.run_test() as pilot:
        await opened(app, pilot)
        await pilot.press(
            *"half", "tab", "enter", *"story", "enter", "tab", "7", "tab", "tab", "backspace", "3", "escape"
        )
        await pilot.pause()
        assert app.screen is app.main
        assert submitted(app) == []
        screen = await opened(app, pilot)
        assert screen.query_one(TextArea).text == "half"
        assert screen.query_one(PriorityPicker).value == 7
        assert screen.query_one("#agent", Select).value == "story_teller"
        assert screen.query_one("#count", Input).value == "3"
        await pilot.press(*" done", "ctrl+s")
        await pilot.pause()
        assert submitted(app) == [TaskSpec(prompt="half done", priority=7, agent="story_teller")] * 3
        screen = await opened(app, pilot)
        assert screen.query_one(TextArea).text == ""
        assert screen.query_one(PriorityPicker).value == DEFAULT_PRIORITY
        assert screen.query_one("#agent", Select).value == "chat"
        assert screen.query_one("#count", Input).value == "1"


async def test_a_count_that_is_none_is_left_as_one_that_is() -> None:
    app = app_with()
    async with app.run_test() as pilot:
        for given, kept in (("", "1"), ("0", "1"), ("9999", "1000")):
            screen = await opened(app, pilot)
            screen.query_one("#count", Input).value = given
            await pilot.press("escape")
            await pilot.pause()
            assert (await opened(app, pilot)).query_one("#count", Input).value == kept
            await pilot.press("escape")
            await pilot.pause()


async def test_remembered_choices_that_are_gone_give_way() -> None:
    memory = Preferences()
    memory.update(form=FormValues(agent="gone", model="gone:1b"))
    app = app_with(memory)
    async with app.run_test() as pilot:
        await opened(app, pilot)
        await pilot.press(*"x", "ctrl+s")
        await pilot.pause()
        assert submitted(app) == [TaskSpec(prompt="x", agent="chat")]


async def test_escape_in_an_open_list_closes_only_the_list() -> None:
    app = app_with()
    async with app.run_test() as pilot:
        screen = await opened(app, pilot)
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert screen.query_one("#agent", Select).expanded
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is screen
        assert not screen.query_one("#agent", Select).expanded


async def test_what_is_pasted_and_shown_is_harmless() -> None:
    app = app_with()
    async with app.run_test() as pilot:
        screen = await opened(app, pilot)
        area = screen.query_one(TextArea)
        app.post_message(events.Paste("[/foo]\r\n[@click=app.quit]x[/]\x1b]52;c;eA==\x07"))
        await pilot.pause()
        assert area.text == "[/foo]\n[@click=app.quit]x[/]\ufffd]52;c;eA==\ufffd"
        await pilot.press("tab", "tab", "tab", "enter", "end", "enter", "ctrl+s")
        await pilot.pause()
        assert submitted(app) == [TaskSpec(prompt=area.text, model="[/foo]:1b")]


async def test_agents_with_markup_in_their_description_are_shown_as_they_are() -> None:
    hostile = parse_agent(
        b'name = "odd"\ndescription = "[/foo] [@click=app.quit]x[/]"\n[[round]]\nprompt = "{prompt}"', "x"
    )
    runtime = FakeRuntime()
    runtime.agents = AgentCatalogue([hostile])
    app = ConsoleApp(runtime, runs=MemoryRuns())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot)
        label = screen.query_one("#agent SelectCurrent #label", Static)
        assert str(label.render()) == "odd  [/foo] [@click=app.quit]x[/], 1 round"


async def test_the_picker_by_keys_and_mouse() -> None:
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot)
        picker = screen.query_one(PriorityPicker)
        picker.focus()
        seen = []
        for key in ("left", "plus", "left", "right", "minus", "right", "0", "left", "end", "right", "home"):
            await pilot.press(key)
            seen.append(picker.value)
        assert seen == [4, 3, 2, 3, 4, 5, 0, 0, 9, 9, 0]
        await pilot.click(PriorityPicker, offset=(3 * 6 + 1, 0))
        assert picker.value == 6
        await pilot.click(PriorityPicker, offset=(40, 0))
        assert picker.value == 6


@pytest.mark.parametrize(
    ("size", "keys"),
    [((80, 24), LONG_KEYS), ((56, 24), SHORT_KEYS), ((40, 20), SHORT_KEYS), ((40, 10), SHORT_KEYS)],
)
async def test_the_keys_are_told_whole_at_every_size(size: tuple[int, int], keys: str) -> None:
    app = app_with()
    async with app.run_test(size=size) as pilot:
        await opened(app, pilot)
        shown = text(app)
        assert keys in shown
        for label in ("agent", "priority", "model", "count", "how many tasks"):
            assert label in shown
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert "prompt: write what the agent should" in text(app)  # the last word is on the next line when it is narrow
