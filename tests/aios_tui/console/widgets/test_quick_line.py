"""The quick line by its keys."""

from __future__ import annotations

import pytest
from textual import events, on
from textual.app import ComposeResult
from textual.widgets import Input, Static

from aios_tui.console.app import ConsoleApp
from aios_tui.console.input.ordered_keys import OrderedKeys
from aios_tui.console.preferences import Preferences
from aios_tui.console.theming import ThemeManager, variable_defaults
from aios_tui.console.widgets.completion import CompletionList
from aios_tui.console.widgets.quick_line import QuickLine
from engine.task import TaskSpec
from tests.aios_tui.console.fake_runtime import FakeRuntime
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.screen_text import screen_text

AGENTS = {"chat": "One question, one answer", "story_teller": "A story [/foo]", "summarise": "Short \x1b]0;x\x07"}


class Probe(OrderedKeys):
    def __init__(self, memory: Preferences | None = None) -> None:
        super().__init__()
        self.memory = memory or Preferences()
        self.specs: list[TaskSpec] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults()

    def compose(self) -> ComposeResult:
        yield Input(id="other")
        yield Static("", id="space")
        yield QuickLine(agents=lambda: AGENTS, models=lambda: ["qwen3:8b", "smollm2:135m"], memory=self.memory)

    CSS = "#space { height: 1fr; }"

    def on_mount(self) -> None:
        ThemeManager(self, folder=None, preferences=self.memory, report=self.notify).apply()
        self.line.focus()

    @property
    def line(self) -> QuickLine:
        return self.query_one(QuickLine)

    @property
    def candidates(self) -> str:
        shown = self.query_one(CompletionList)
        return str(shown.render()) if shown.display else ""

    @property
    def error(self) -> str:
        shown = self.query_one("#error", Static)
        return str(shown.render()) if shown.display else ""

    @on(QuickLine.Submitted)
    def take(self, event: QuickLine.Submitted) -> None:
        self.specs.append(event.spec)


async def test_a_line_becomes_a_task() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press(*"@story_teller !2 #qwen3:8b Tell", "enter")
        await pilot.pause()
        assert app.specs == [TaskSpec(prompt="Tell", agent="story_teller", priority=2, model="qwen3:8b")]
        assert app.line.value == ""
        assert app.memory.values.history == ("@story_teller !2 #qwen3:8b Tell",)


async def test_lines_that_come_in_one_burst_stay_apart() -> None:
    """As when several lines are pasted into a terminal that does not bracket them."""
    app = Probe()
    async with app.run_test() as pilot:
        for character in "one\rtwo\rthree\r":
            key = events.Key("enter", None) if character == "\r" else events.Key(character, character)
            app.post_message(key)
        await pilot.pause()
        await pilot.pause()
        assert [spec.prompt for spec in app.specs] == ["one", "two", "three"]


async def test_an_empty_line_does_nothing() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert (app.specs, app.error, app.memory.values.history) == ([], "", ())


async def test_blanks_are_no_prompt_and_the_line_is_not_left() -> None:
    app = ConsoleApp(FakeRuntime(), runs=MemoryRuns())
    async with app.run_test() as pilot:
        await pilot.press("i", "space", "space", "space", "enter")
        await pilot.pause()
        assert app.main.quick_line.input.has_focus
        assert "the prompt is missing" in screen_text(app)
        await pilot.press("q", "s")
        await pilot.pause()
        assert app.main.quick_line.value == "   qs"
        assert "the prompt is missing" not in screen_text(app)
        await pilot.press("ctrl+u", "enter")
        await pilot.pause()
        assert not app.main.quick_line.input.has_focus


@pytest.mark.parametrize("sign", ["#", "@"])
@pytest.mark.parametrize("key", ["backspace", "ctrl+u"])
async def test_the_list_goes_when_there_is_nothing_left_to_complete(sign: str, key: str) -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press(sign)
        await pilot.pause()
        assert app.candidates
        await pilot.press(key)
        await pilot.pause()
        assert (app.line.value, app.candidates, app.line.completing) == ("", "", False)
        await pilot.press(sign)
        await pilot.pause()
        assert app.candidates


async def test_what_is_wrong_is_said_and_the_text_stays() -> None:
    app = Probe()
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.press(*"!x hi", "enter")
        await pilot.pause()
        assert app.specs == []
        assert app.line.value == "!x hi"
        assert app.error == "! takes a priority from 0, most urgent, to 9, not 'x'"
        await pilot.press("home", "delete", "delete")
        await pilot.pause()
        assert app.error == ""
        await pilot.press("enter")
        await pilot.pause()
        assert [spec.prompt for spec in app.specs] == ["hi"]


async def test_tab_and_right_complete() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press(*"@st")
        await pilot.pause()
        assert app.candidates == "@story_teller  A story [/foo]"
        await pilot.press("tab")
        await pilot.pause()
        assert (app.line.value, app.candidates) == ("@story_teller ", "")
        assert app.line.input.has_focus
        await pilot.press(*"#smo", "right", *"go", "enter")
        await pilot.pause()
        assert app.specs == [TaskSpec(prompt="go", agent="story_teller", model="smollm2:135m")]


async def test_the_arrows_choose_among_candidates_and_enter_takes() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press("@")
        await pilot.pause()
        assert [line.split()[0] for line in app.candidates.splitlines()] == ["@chat", "@story_teller", "@summarise"]
        assert "\x1b" not in app.candidates
        await pilot.press("down", "down", "down", "up", "enter")
        await pilot.pause()
        assert app.line.value == "@summarise "
        assert app.specs == []


async def test_the_list_floats_above_the_token() -> None:
    app = Probe()
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.press(*"!2 @s")
        await pilot.pause()
        region = app.query_one(CompletionList).region
        line = app.line.input.region
        assert region.bottom == line.y
        assert region.x + 1 == line.x + 3
        assert line.y == 11


async def test_escape_closes_the_list_first() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press("@")
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
        assert (app.candidates, app.line.value) == ("", "@")
        await pilot.press("c")
        await pilot.pause()
        assert app.candidates.startswith("@chat")


async def test_tab_never_leaves_the_line() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press(*"@tr", "tab", "tab", *"nosuch", "shift+tab", "tab", *" hello")
        await pilot.pause()
        assert app.line.input.has_focus
        assert app.line.value == "@trnosuch hello"
        await pilot.click("#other")
        assert not app.line.input.has_focus


async def test_names_are_completed_behind_the_prompt() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press(*"tell me !1 @st")
        await pilot.pause()
        assert app.candidates.startswith("@story_teller")
        await pilot.press("tab", "tab", "enter")
        await pilot.pause()
        assert app.specs == [TaskSpec(prompt="tell me", agent="story_teller", priority=1)]


async def test_a_trailing_word_that_names_nothing_says_how_to_escape_it() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press(*"fix bug #12", "enter")
        await pilot.pause()
        assert app.error.endswith(r"for text write \#12")
        await pilot.press("left", "left", "left", "\\", "enter")
        await pilot.pause()
        assert app.specs == [TaskSpec(prompt="fix bug #12")]


async def test_up_and_down_recall() -> None:
    memory = Preferences()
    for line in ("one", "@chat two", "@s"):
        memory.add_history(line)
    app = Probe(memory)
    async with app.run_test() as pilot:
        await pilot.press(*"new")
        seen = []
        for key in ("up", "up", "up", "up", "down", "down", "down", "down"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(app.line.value)
        assert seen == ["@s", "@chat two", "one", "one", "@chat two", "@s", "new", "new"]
        assert app.candidates == ""
        await pilot.press("up", "up", *"!", "enter")
        await pilot.pause()
        assert [(spec.agent, spec.prompt) for spec in app.specs] == [("chat", "two!")]
        await pilot.press("up")
        await pilot.pause()
        assert app.line.value == "@chat two!"


async def test_a_paste_is_one_clean_line() -> None:
    from textual import events

    app = Probe()
    async with app.run_test() as pilot:
        app.post_message(events.Paste("first\r\nsecond\x1b]0;x\x07\tthird"))
        await pilot.pause()
        assert app.line.value == "first second\ufffd]0;x\ufffd third"


async def test_an_error_goes_with_the_focus_and_comes_back_with_it() -> None:
    app = Probe()
    async with app.run_test(size=(60, 12)) as pilot:
        sign = app.query_one("#sign", Static)
        muted = app.theme_variables["muted"]
        assert sign.styles.color.hex.lower() != muted
        await pilot.press(*"!x hi", "enter")
        app.query_one("#other", Input).focus()
        await pilot.pause()
        assert (app.error, app.line.value, app.line.size.height) == ("", "!x hi", 1)
        assert sign.styles.color.hex.lower() == muted
        app.line.focus()
        await pilot.pause()
        assert app.error.startswith("! takes a priority")
        assert sign.styles.color.hex.lower() != muted


async def test_in_the_console_an_error_leaves_the_line_in_sight() -> None:
    app = ConsoleApp(FakeRuntime(), runs=MemoryRuns())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("i", *"@nobody hi", "enter")
        await pilot.pause()
        lines = [line.strip() for line in screen_text(app).splitlines()]
        assert lines[-3].startswith("unknown agent 'nobody'")
        assert lines[-2].startswith("› @nobody hi")
        await pilot.press("escape")
        await pilot.pause()
        assert not app.main.query_one(QuickLine).input.has_focus


async def test_leaving_and_coming_back_keeps_the_text() -> None:
    app = Probe()
    async with app.run_test() as pilot:
        await pilot.press(*"@st")
        app.query_one("#other", Input).focus()
        await pilot.pause()
        assert (app.line.value, app.candidates) == ("@st", "")
        app.line.focus()
        await pilot.press("o")
        await pilot.pause()
        assert app.line.value == "@sto"
