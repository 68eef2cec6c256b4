"""The task screen by its keys, over a history and a kernel that are doubles; `test_task_live.py` has real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Collapsible, Input, Static

from aios_tui.console.app import ConsoleApp
from aios_tui.console.screen_keys import SCREENS
from aios_tui.console.screens.export import ExportScreen
from aios_tui.console.screens.help import HelpScreen
from aios_tui.console.screens.task import TaskScreen
from aios_tui.console.screens.themes import ThemeScreen
from aios_tui.console.widgets.round_view import RoundView
from aios_tui.console.widgets.text_lines import TextLines
from engine.cores.port import ToolCall
from engine.errors import StoreError
from engine.events import (
    AttemptEnded,
    AttemptProgress,
    AttemptStarted,
    Event,
    TaskAccepted,
    TaskEnded,
    TaskStarted,
)
from engine.task import AttemptState, Task, TaskSpec, TaskState
from tests.aios_tui.console import sample_tasks
from tests.aios_tui.console.fake_runtime import FakeHistory, FakeRuntime
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.sample_tasks import HOSTILE, START, Attempt, Facts
from tests.aios_tui.console.screen_text import screen_text
from tests.aios_tui.console.settling import settle, until

SPEC = TaskSpec(prompt="Tell me a story about geese.", agent="story_teller", priority=2)
RUNNING: tuple[Event, ...] = (
    TaskAccepted(START, 20, SPEC),
    TaskStarted(START + 1, 20, 1, 3),
    AttemptStarted(START + 2, 20, 2, 1, "embedded/0", "embedded", "smollm2:135m", START + 1, "x"),
)


def progress(text: str, kind: Any = "text", at: float = 3.0, tokens: int = 1) -> AttemptProgress:
    return AttemptProgress(START + at, 20, 2, 1, "embedded/0", kind, text, tokens)


def session_with(*facts: Facts, before: tuple[Event, ...] = ()) -> FakeRuntime:
    runtime = FakeRuntime(before)
    history = FakeHistory([each.record for each in facts if each.record.state.ended])
    history.details = {each.record.id: each for each in facts}
    runtime.history = history
    return runtime


def app_with(*facts: Facts, before: tuple[Event, ...] = ()) -> ConsoleApp:
    return ConsoleApp(session_with(*facts, before=before), now=lambda: START + 5, runs=MemoryRuns())


async def opened(app: ConsoleApp, pilot: Pilot[int], task: int) -> TaskScreen:
    await pilot.pause()
    screen = TaskScreen(task)
    await app.push_screen(screen)
    await settle(app, pilot)
    return screen


def calls(app: ConsoleApp) -> list[tuple[object, ...]]:
    runtime = app.runtime
    assert isinstance(runtime, FakeRuntime)
    return runtime.fake.calls


async def test_an_ended_task_in_full() -> None:
    app = app_with(sample_tasks.story())
    async with app.run_test(size=(120, 60)) as pilot:
        await opened(app, pilot, 7)
        text = screen_text(app)
        for part in (
            "✓ done   story_teller   pri 2   #7   smollm2:135m on embedded   from operator",
            "waited 5.70 s   service 7.20 s   turnaround 12.9 s   TTFT 0.31 s   tokens in 120   out 360   tok/s 60",
            "Round 1 of 3  smollm2:135m on embedded/0  waited 0.50 s  took 2.40 s  TTFT 0.31 s  40 → 120 tokens",
            "attempt 1 failed: broken_stream: the stream ended before its last record",
            "thinking, 6 words",
            "The goose of Kettleby",
            "The baker had never met a goose so determined.",
            "2 It came on Tuesday, with friends.",
            "Tue  12",
            'print("honk " * 12)',
        ):
            assert part in text
        assert "**baker**" not in text
        assert "Geese say honk" not in text
        assert "Result" not in text
        assert len(app.screen.query(RoundView)) == 3


async def test_calls_of_tools_are_said_in_words() -> None:
    calls = (ToolCall("look_up", {"city": "Brno [/x]", "days": 2}), ToolCall("bell", {}))
    facts = Facts(sample_tasks.record(7, rounds=1), (Attempt(1, reply="", tool_calls=calls),), round_total=1)
    app = app_with(facts)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(app, pilot, 7)
        text = screen_text(app)
        assert 'asks for look_up (city: "Brno [/x]", days: 2)' in text
        assert "asks for bell\n" in "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


async def test_f_unfolds_and_folds() -> None:
    app = app_with(sample_tasks.story())
    async with app.run_test(size=(120, 60)) as pilot:
        await opened(app, pilot, 7)
        await pilot.press("f")
        await settle(app, pilot)
        text = screen_text(app)
        assert "Geese say honk. Bakers do not." in text
        assert "Write the story from this outline: A goose, a baker." in text
        await pilot.press("f")
        await settle(app, pilot)
        assert "Geese say honk" not in screen_text(app)
        await pilot.press("tab", "enter")
        await settle(app, pilot)
        assert [each.collapsed for each in app.screen.query(Collapsible) if each.display].count(False) == 1


async def test_a_failed_task_says_why_at_the_top() -> None:
    app = app_with(sample_tasks.failed())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, 8)
        lines = screen_text(app).splitlines()
        assert lines[0].startswith(" ✗ failed")
        assert any("model 'qwen3:9b' not found; installed: qwen3:8b" in line for line in lines[:6])
        assert any("attempt 1 failed: no_model" in line for line in lines)


async def test_a_running_round_streams_and_becomes_markdown() -> None:
    first = Facts(sample_tasks.record(20, TaskState.RUNNING), (Attempt(1, reply="An outline."),))
    app = app_with(first, before=RUNNING)
    async with app.run_test(size=(80, 30)) as pilot:
        await opened(app, pilot, 20)
        assert "An outline." in screen_text(app)
        assert "waiting for a token" in screen_text(app)
        app.bridge.feed([progress("Hm.", "thinking")])
        await pilot.pause()
        assert "thinking …" in screen_text(app)
        app.bridge.feed([progress("There was *a goose"), progress(" who", at=4.0)])
        await pilot.pause()
        text = screen_text(app)
        assert "● running" in text
        assert "Round 2 of 3" in text
        assert "There was *a goose who" in text
        assert "thinking, 3 characters" in text
        unfolded = app.screen.query(Collapsible).last()
        first_view = app.screen.query(RoundView).first()
        unfolded.collapsed = False

        reply = "There was *a goose* who honked."
        history = app.runtime.history
        assert isinstance(history, FakeHistory)
        history.details[20] = Facts(
            sample_tasks.record(20, result=reply, rounds=2), (Attempt(1, reply="An outline."), Attempt(2, reply=reply))
        )
        final = Task(20, SPEC, START, 2, TaskState.DONE, result=reply)
        app.bridge.feed(
            [
                AttemptEnded(START + 5, 20, 2, 1, "embedded/0", AttemptState.DONE, reply=reply),
                TaskEnded(START + 5, 20, TaskState.DONE, final),
            ]
        )
        await settle(app, pilot)
        text = screen_text(app)
        assert "✓ done" in text
        assert "There was a goose who honked." in text
        assert app.screen.query(RoundView).first() is first_view


async def test_of_a_long_stream_the_end_is_shown() -> None:
    app = app_with(before=RUNNING)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot, 20)
        app.bridge.feed([progress("first " + "word " * 6_000 + "last")])
        await settle(app, pilot)
        text = screen.query_one("#live-text", TextLines).text
        assert text.endswith("word last")
        assert len(text) < 3_600
        shown = len(text.partition("\n")[2])
        assert text.startswith(f"… {30_010 - shown:,} characters before this")


async def test_what_the_history_lacks_yet_is_read_again() -> None:
    app = app_with(before=RUNNING)
    async with app.run_test(size=(80, 30)) as pilot:
        await opened(app, pilot, 20)
        assert len(app.screen.query(RoundView)) == 0
        assert "Tell me a story about geese." in screen_text(app)
        history = app.runtime.history
        assert isinstance(history, FakeHistory)
        history.details[20] = Facts(sample_tasks.record(20, TaskState.RUNNING), (Attempt(1, reply="An outline."),))
        app.bridge.tick()
        await settle(app, pilot)
        assert "An outline." in screen_text(app)


async def test_of_a_task_begun_again_the_old_rounds_are_only_listed() -> None:
    old = Attempt(1, start=1, state=AttemptState.INTERRUPTED, reply="Half a")
    facts = Facts(sample_tasks.record(20, TaskState.RUNNING), (old,), interruptions=1, starts=2)
    app = app_with(facts, before=RUNNING)
    async with app.run_test(size=(80, 30)) as pilot:
        await opened(app, pilot, 20)
        assert len(app.screen.query(RoundView)) == 0
        text = screen_text(app)
        assert "start 1, round 1, attempt 1: interrupted on embedded/0" in text
        assert "interruptions 1" in text


async def test_a_queued_task_waits() -> None:
    app = app_with(before=(TaskAccepted(START - 60, 30, SPEC),))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, 30)
        assert "· queued" in screen_text(app)
        assert "waited 1:05" in screen_text(app)


async def test_an_unknown_task_is_said() -> None:
    app = app_with()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, 99)
        assert "#99 is neither running nor in the history" in screen_text(app)
        await pilot.press("y", "o", "f", "j", "escape")
        await pilot.pause()
        assert not isinstance(app.screen, TaskScreen)


async def test_a_history_that_cannot_be_read_is_said() -> None:
    class Broken(FakeHistory):
        async def show(self, task_id: int) -> None:
            raise StoreError("the history [/foo] can't be read")

    runtime = FakeRuntime(RUNNING)
    runtime.history = Broken()
    app = ConsoleApp(runtime, now=lambda: START, runs=MemoryRuns())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, 20)
        text = screen_text(app)
        assert "the history [/foo] can't be read" in text
        assert "Tell me a story about geese." in text


@pytest.mark.parametrize("size", [(120, 80), (40, 10)])
async def test_hostile_text_is_only_text(size: tuple[int, int]) -> None:
    app = app_with(sample_tasks.hostile())
    async with app.run_test(size=size) as pilot:
        await opened(app, pilot, 9)
        await pilot.press("f")
        await settle(app, pilot)
        text = screen_text(app)
        assert not any(character in text for character in "\x1b\x07\u202e")
        if size[0] == 120:
            assert text.count("[/foo] [@click=app.quit]x[/] \ufffd]0;title\ufffd\ufffd[31mred \ufffdtext") >= 5
        await pilot.press("y")
        assert HOSTILE not in app.clipboard
        assert "\x1b" not in app.clipboard


async def test_keys_act_on_this_task() -> None:
    app = app_with(sample_tasks.story(), before=RUNNING)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, 20)
        await pilot.press("plus", "minus", "x")
        await settle(app, pilot)
        assert calls(app) == [("reprioritise", 20, 1), ("reprioritise", 20, 2), ("cancel", 20)]
        await pilot.press("r")
        await settle(app, pilot)
        assert app.last_notice == "#20 has not ended yet"
        await pilot.press("right_square_bracket")
        await settle(app, pilot)
        await pilot.press("r")
        await settle(app, pilot)
        assert calls(app)[-1] == ("retry", 7)
        await pilot.press("x")
        assert app.last_notice == "#7 has already ended"


async def test_keys_that_cannot_act_are_dim() -> None:
    app = app_with(sample_tasks.story())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, 7)
        dim = app.theme_variables["frame"]
        row = app.screen._compositor.render_strips()[-1]
        colours = {
            s.text.strip(): s.style.color.triplet.hex
            for s in row
            if s.style and s.style.color and s.style.color.triplet
        }
        assert colours["x"] == colours["cancel"] == dim
        assert colours["r"] != dim


async def test_going_from_task_to_task() -> None:
    app = app_with(sample_tasks.failed(), sample_tasks.story(), before=RUNNING)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot, 20)
        seen = []
        for key in ("]", "]", "]", "[", "[", "["):
            await pilot.press("right_square_bracket" if key == "]" else "left_square_bracket")
            await settle(app, pilot)
            seen.append(screen.task_id)
        assert seen == [8, 7, 7, 8, 20, 20]
        assert "no other task" in app.last_notice
        await pilot.press("right_square_bracket")
        await settle(app, pilot)
        assert "no_model" in screen_text(app)
        assert len(app.screen.query(RoundView)) == 1


async def test_scrolling() -> None:
    app = app_with(sample_tasks.story())
    async with app.run_test(size=(40, 10)) as pilot:
        await opened(app, pilot, 7)
        app.animation_level = "none"
        body = app.screen.query_one("#body", VerticalScroll)
        seen = []
        for key in ("j", "down", "k", "up", "pagedown", "pageup", "g", "ctrl+f", "ctrl+b", "home"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(body.scroll_y)
        page = body.scrollable_content_region.height
        assert seen == [1, 2, 1, 0, page, 0, 0, page, 0, 0]
        for key in ("G", "end"):
            await pilot.press(key)
            await pilot.pause()
            assert body.scroll_y == body.max_scroll_y > 20


async def test_help_theme_and_leaving() -> None:
    app = app_with(sample_tasks.story())
    async with app.run_test(size=(100, 40)) as pilot:
        await opened(app, pilot, 7)
        await pilot.press("question_mark")
        await pilot.pause()
        screen: Screen[Any] = app.screen
        assert isinstance(screen, HelpScreen)
        text = screen_text(app)
        for use in SCREENS["task"]:
            assert use.description in text
        await pilot.press("escape", "t")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, ThemeScreen)
        await pilot.press("escape", "q")
        await pilot.pause()
        screen = app.screen
        assert screen is app.main


async def test_copy_takes_the_whole_result() -> None:
    app = app_with(sample_tasks.story(), before=(*RUNNING, progress("so far")))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, 7)
        await pilot.press("y")
        assert app.clipboard == sample_tasks.STORY
        await pilot.press("left_square_bracket")
        await settle(app, pilot)
        await pilot.press("y")
        assert app.clipboard == "so far"


async def test_export_by_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = app_with(sample_tasks.story())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot, 7)
        await pilot.press("o", "enter")
        await pilot.pause()
        target = tmp_path / "task-7.md"
        await settle(app, pilot)
        assert "# The goose of Kettleby" in target.read_text("utf-8")
        assert target.stat().st_mode & 0o777 == 0o600
        assert not isinstance(app.screen, ExportScreen)

        target.write_text("mine")
        await pilot.press("o", "enter")
        await settle(app, pilot)
        assert isinstance(app.screen, ExportScreen)
        assert "task-7.md exists" in screen_text(app)
        assert target.read_text() == "mine"
        await pilot.press("enter")
        await settle(app, pilot)
        assert target.read_text("utf-8").startswith("# Task 7")

        await pilot.press("o")
        await pilot.pause()
        field = app.screen.query_one("#path", Input)
        for path, reported in (
            ("", "write the path"),
            (str(tmp_path), "is a folder"),
            ("/nowhere/[/foo]/x", "can't be"),
        ):
            field.value = path
            await pilot.press("enter")
            await settle(app, pilot)
            assert reported in str(app.screen.query_one("#problem", Static).render())
        await pilot.press("escape")
        await pilot.pause()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["task-7.md"]


async def test_a_reply_of_100_kb_is_a_handful_of_widgets_and_lets_keys_through() -> None:
    long = f"{'One *of* the very many paragraphs of a tale that will not end. ' * 10}\n\n" * 160
    facts = Facts(
        sample_tasks.record(7, result=long, rounds=1), (Attempt(1, reply=long, thinking=long),), round_total=1
    )
    app = app_with(facts)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(app, pilot, 7)
        assert len(screen.query("*")) < 40
        reply = screen.query_one(".reply", TextLines)
        assert len(long) > 100_000
        assert reply.size.height > 1_300
        app.animation_level = "none"
        await pilot.press("G")
        await pilot.pause()
        assert "One of the very many paragraphs of a tale that will not end." in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, TaskScreen)


async def test_of_a_long_path_to_export_to_the_end_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("deep" * 12) / ("deeper" * 12)
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    app = app_with(sample_tasks.story())
    async with app.run_test(size=(60, 24)) as pilot:
        await opened(app, pilot, 7)
        await pilot.press("o")
        await until(lambda: "deeper/task-7.md" in screen_text(app), pilot)
