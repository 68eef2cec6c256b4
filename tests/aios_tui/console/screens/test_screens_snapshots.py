"""Snapshots of the secondary screens and the quick line: at 80×24 and 120×40, dark and light."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from aios_tui.console.app import ConsoleApp
from aios_tui.console.preferences import FormValues, Preferences
from aios_tui.console.screens.agents import AgentsScreen
from aios_tui.console.screens.export import ExportScreen
from aios_tui.console.screens.help import HelpScreen
from aios_tui.console.screens.quit import QuitScreen
from aios_tui.console.screens.submit import SubmitScreen
from aios_tui.console.screens.task import TaskScreen
from aios_tui.console.screens.themes import ThemeScreen
from aios_tui.console.state.task_details import page_of
from engine.cores.port import CoreInfo, ModelInfo
from engine.events import AttemptProgress, AttemptStarted, CoreChanged, TaskAccepted, TaskStarted
from engine.task import TaskSpec, TaskState
from persistence.rows import AgentRow
from tests.aios_tui.console import sample_tasks
from tests.aios_tui.console.fake_runtime import FakeHistory, FakeRuntime
from tests.aios_tui.console.memory_runs import MemoryRuns
from tests.aios_tui.console.sample_tasks import START, Attempt, Facts
from tests.aios_tui.console.settling import settle
from tests.aios_tui.console.widgets.test_quick_line import Probe

SPEC = TaskSpec(prompt="Tell me a story about geese.", agent="story_teller", priority=2)
MODELS = (ModelInfo("smollm2:135m"), ModelInfo("qwen3:8b"), ModelInfo("日本語:7b"))
EVENTS = (
    CoreChanged(START, CoreInfo("embedded", True, "smollm2:135m", MODELS)),
    TaskAccepted(START, 20, SPEC),
    TaskAccepted(START, 21, SPEC),
    TaskStarted(START + 1, 20, 1, 3),
    AttemptStarted(START + 2, 20, 2, 1, "embedded/0", "embedded", "smollm2:135m", START + 1, "x"),
    AttemptProgress(START + 3, 20, 2, 1, "embedded/0", "thinking", "Who would a goose talk to? ", 6),
    AttemptProgress(
        START + 4, 20, 2, 1, "embedded/0", "text", "There was a goose, 鵞鳥 🪿, who *would not* leave. " * 5, 60
    ),
)


class Compare(Protocol):
    def __call__(self, app: App[Any], **options: Any) -> bool: ...


SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
THEMES = pytest.mark.parametrize("theme", ["aios-dark", "aios-light"])


def console(theme: str) -> ConsoleApp:
    runtime = FakeRuntime(EVENTS)
    history = FakeHistory()
    history.details = {
        7: sample_tasks.story(),
        8: sample_tasks.failed(),
        20: Facts(sample_tasks.record(20, TaskState.RUNNING), (Attempt(1, reply="A goose, a baker, a Monday."),)),
    }
    history.by_agents = {
        "story_teller": AgentRow(
            agent="story_teller",
            tasks=1204,
            done=1190,
            failed=3,
            cancelled=11,
            waiting_s=41.5,
            turnaround_s=54.2,
            tokens_in=412000,
            tokens_out=733121,
        ),
        "chat": AgentRow(agent="chat", tasks=1, done=1, waiting_s=0.004, turnaround_s=1.2, tokens_in=9, tokens_out=31),
    }
    runtime.history = history
    preferences = Preferences()
    preferences.update(
        form=FormValues(draft="Tell me a story\nabout 鵞鳥 and 🪿.", agent="story_teller", priority=2, count=3)
    )
    return ConsoleApp(runtime, preferences=preferences, theme=theme, now=lambda: START + 6, runs=MemoryRuns())


def over_nothing(make: Callable[[ConsoleApp], Screen[Any]]) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Push a screen with nothing shining through: what lies under it has drawings of its own."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        await settle(app, pilot)
        await app.push_screen(make(app))
        app.screen.styles.background = app.theme_variables["background"]
        for field in app.screen.query(Input):
            field.cursor_blink = False
            if field.id == "path":
                field.value = "task-7.md"
        await settle(app, pilot)

    return before


SCREENS: dict[str, Callable[[ConsoleApp], Screen[Any]]] = {
    "submit": lambda app: SubmitScreen(app.runtime),
    "themes": lambda _: ThemeScreen(),
    "agents": lambda _: AgentsScreen(),
    "help": lambda _: HelpScreen("main"),
    "quit": lambda _: QuitScreen(),
    "task-done": lambda _: TaskScreen(7),
    "task-failed": lambda _: TaskScreen(8),
    "task-running": lambda _: TaskScreen(20),
    "export": lambda app: ExportScreen(page_of(7, app.view, sample_tasks.story()) or pytest.fail("no page")),
}


@SIZES
@THEMES
@pytest.mark.parametrize("name", SCREENS)
def test_screen(snap_compare: Compare, name: str, size: tuple[int, int], theme: str) -> None:
    assert snap_compare(console(theme), terminal_size=size, run_before=over_nothing(SCREENS[name]))


@pytest.mark.parametrize("name", ["submit", "quit", "task-running", "themes"])
def test_screen_in_the_smallest_terminal(snap_compare: Compare, name: str) -> None:
    assert snap_compare(console("aios-dark"), terminal_size=(40, 10), run_before=over_nothing(SCREENS[name]))


@pytest.mark.parametrize("name", ["task-done", "themes"])
def test_screen_in_high_contrast(snap_compare: Compare, name: str) -> None:
    assert snap_compare(console("aios-contrast"), terminal_size=(80, 24), run_before=over_nothing(SCREENS[name]))


QUICK = {"candidates": "!2 #qwen3:8b @s", "error": "!2 #qwen3:9b Tell me"}


@SIZES
@THEMES
@pytest.mark.parametrize("name", QUICK)
def test_quick_line(snap_compare: Compare, name: str, size: tuple[int, int], theme: str) -> None:
    text = QUICK[name]

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, Probe)
        app.theme = theme
        app.line.input.value = text
        app.line.input.cursor_position = len(text)
        await pilot.pause()
        if name == "error":
            await pilot.press("enter")
        await pilot.pause()

    assert snap_compare(Probe(), terminal_size=size, run_before=before)
