"""Every key of the main screen does what the table says."""

from __future__ import annotations

import string

import pytest
from textual.command import Command, CommandList
from textual.events import MouseScrollDown
from textual.widgets import Input

from aios_tui.console.actions import BY_ID, MAIN, POLICIES, show_key
from aios_tui.console.handlers.operator import OPERATIONS
from aios_tui.console.handlers.palette import commands
from engine.events import KernelStateChanged, PolicyChanged, TaskAccepted, TaskEnded, TaskStarted
from engine.store import Recovery
from engine.task import KernelState, Task, TaskSpec, TaskState
from tests.aios_tui.console import scene
from tests.aios_tui.console.helpers import lines, opened, text
from tests.aios_tui.console.settling import until


async def test_moving_keys_move_the_cursor_in_the_queue() -> None:
    async with opened([*scene.up(), *scene.queued(60)]) as (app, pilot, _):
        rows = app.main.queue_list
        seen = []
        for key in ("j", "down", "k", "up", "G", "g", "end", "home", "pagedown", "pageup", "ctrl+f", "ctrl+b"):
            await pilot.press(key)
            seen.append(rows.cursor)
        page = rows.size.height - 1
        assert seen == [1, 2, 1, 0, 59, 0, 59, 0, page, 0, page, 0]
        assert app.main.selected == app.view.order[0]


async def test_keys_that_mean_nothing_do_nothing() -> None:
    """Textual calls a widget's method `key_at` for the key `@`, whatever that method was meant for."""
    bound = {show_key(key) for action in MAIN for key in action.keys}
    unbound = sorted(set(string.punctuation) - bound)
    assert "@" in unbound
    async with opened([*scene.up()]) as (app, pilot, runtime):
        for pane in "123":
            await pilot.press(pane, *unbound)
        assert app.is_running
        assert app.screen is app.main
        assert app.main.pane == "results"
        assert runtime.fake.calls == []


async def test_panes_take_the_focus_by_number_and_by_tab() -> None:
    async with opened() as (app, pilot, _):
        seen = []
        for key in ("2", "3", "1", "tab", "tab", "tab", "shift+tab"):
            await pilot.press(key)
            seen.append(app.main.pane)
        assert seen == ["activity", "results", "queue", "activity", "results", "queue", "results"]


async def test_the_cursor_shows_on_the_slot_while_the_activity_pane_has_the_focus() -> None:
    async with opened() as (app, pilot, _):
        await pilot.press("2", "j")
        await pilot.pause()
        assert list(app.main.activity.bases.values()) == ["cursor"]
        assert app.main.selected is None
        await pilot.press("k", "1")
        await pilot.pause()
        assert app.main.activity.bases == {}
        assert app.main.activity.selected == 9


@pytest.mark.parametrize(
    ("keys", "call"),
    [
        (["s"], ("switch_policy", "fifo")),
        (["p"], ("pause",)),
        (["x"], ("cancel", 14)),
        (["j", "j", "plus"], ("reprioritise", 13, 1)),
        (["j", "j", "minus"], ("reprioritise", 13, 3)),
        (["j", "j", "h"], ("hold", 13)),
        (["2", "x"], ("cancel", 9)),
        (["2", "plus"], ("reprioritise", 9, 1)),
        (["3", "j", "r"], ("retry", 7)),
    ],
)
async def test_keys_that_act_on_the_kernel(keys: list[str], call: tuple[object, ...]) -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.press(*keys)
        await pilot.pause()
        assert runtime.fake.calls == [call]
        assert app.last_notice


async def test_plus_twice_counts_twice() -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.press("G", "plus", "plus")
        assert runtime.fake.calls == [("reprioritise", 19, 8), ("reprioritise", 19, 7)]
        assert app.view.tasks[19].priority == 7
        assert app.main.selected == 19


async def test_h_holds_and_releases_and_held_tasks_come_last() -> None:
    async with opened() as (app, pilot, runtime):
        first = app.view.order[0]
        await pilot.press("h")
        await pilot.pause()
        assert app.view.order[len(app.view.order) - 1] == first
        assert app.last_notice == f"#{first} is held; h releases it"
        assert "11 ready, 1 held, oldest" in text(app)
        row = next(line for line in lines(app) if f"#{first} " in line)
        assert " held " in row
        assert app.main.selected == first
        await pilot.press("h")
        await pilot.pause()
        assert runtime.fake.calls == [("hold", first), ("release", first)]
        assert app.view.order[0] == first
        assert "12 ready, oldest" in text(app)


async def test_p_resumes_when_paused_and_s_goes_back_to_npps() -> None:
    async with opened([*scene.up(policy="fifo"), KernelStateChanged(scene.NOW, KernelState.PAUSED)]) as (
        app,
        pilot,
        runtime,
    ):
        assert "s to NPPS" in lines(app)[-1] and "p resume" in lines(app)[-1]
        await pilot.press("p", "s")
        assert runtime.fake.calls == [("resume",), ("switch_policy", "npps")]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (["plus"], "#14 already has the most urgent priority"),
        (["r"], "#14 has not ended yet"),
        (["3", "x"], "#8 has already ended"),
        (["2", "j", "x"], "no task is selected here"),
    ],
)
async def test_a_key_that_cannot_act_says_why_in_the_footer(keys: list[str], reason: str) -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.press(*keys)
        assert reason in lines(app)[-1]
        assert runtime.fake.calls == []


async def test_y_copies_the_prompt_or_the_result() -> None:
    async with opened() as (app, pilot, _):
        await pilot.press("y")
        assert app.clipboard == scene.PROMPTS[1][1]
        await pilot.press("3", "j", "j", "j", "y")
        assert app.clipboard == "Three sentences.\nAbout the harbour.\nAnd the ferry."


@pytest.mark.parametrize(
    ("key", "screen"),
    [("n", "SubmitScreen"), ("t", "ThemeScreen"), ("question_mark", "HelpScreen"), ("ctrl+p", "CommandPalette")],
)
async def test_keys_that_open_a_screen(key: str, screen: str) -> None:
    async with opened() as (app, pilot, _):
        await pilot.press(key)
        await pilot.pause()
        assert type(app.screen).__name__ == screen
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main


async def test_enter_opens_the_selected_task() -> None:
    async with opened() as (app, pilot, _):
        await pilot.press("j", "enter")
        await pilot.pause()
        assert type(app.screen).__name__ == "TaskScreen"
        assert getattr(app.screen, "task_id", None) == 24


async def test_i_goes_to_the_quick_line_and_escape_back() -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.press("3", "i")
        assert isinstance(app.focused, Input)
        await pilot.press("q", "x")
        assert runtime.fake.calls == [] and not app.leaving
        await pilot.press("escape")
        assert app.main.result_list.has_focus


async def test_a_filter_narrows_its_pane_and_escape_clears_it() -> None:
    async with opened() as (app, pilot, _):
        await pilot.press("slash", *"GOOSE", "enter")
        rows = app.main.queue_list
        assert (rows.count(), app.focused) == (2, rows)
        assert "/GOOSE" in text(app)
        assert app.main.selected == 13
        await pilot.press("escape")
        assert rows.count() == 12 and app.main.selected == 13
        await pilot.press("3", "slash", *"failed")
        assert app.main.result_list.count() == 1
        await pilot.press("escape")
        assert app.main.result_list.count() == 8 and app.main.result_list.has_focus


async def test_z_zooms_and_escape_ends_it() -> None:
    async with opened() as (app, pilot, _):
        await pilot.press("3", "z")
        await pilot.pause()
        assert app.main.result_list.size.height > 30 and not app.main.queue_list.size
        await pilot.press("escape")
        await pilot.pause()
        assert app.main.queue_list.size.height > 10


async def test_the_palette_offers_every_action_and_policy() -> None:
    async with opened() as (app, pilot, runtime):
        titles = [command.title for command in commands(app)]
        assert len(titles) == len(set(titles))
        assert len(titles) >= len(OPERATIONS) - 2 + 5
        await pilot.press("ctrl+p", *"ageing=60")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await pilot.pause()
        assert runtime.fake.calls == [("switch_policy", "npps:ageing=60")]


async def test_the_palette_lists_first_what_can_be_done_in_the_order_of_the_table() -> None:
    async with opened() as (app, pilot, _):
        await pilot.press("ctrl+p")
        await until(lambda: app.screen.query_one(CommandList).option_count > 0, pilot)
        options = app.screen.query_one(CommandList).options
        listed = [option.hit.text for option in options if isinstance(option, Command) and option.hit.text is not None]
        now = app.action_context()
        offered = [action for action in MAIN if action.title]
        able = [action.title for action in offered if action.why_not(now) is None]
        unable = [action.title for action in offered if action.why_not(now) is not None]
        assert able and unable
        assert listed[: len(able)] == able
        assert listed[-len(unable) :] == unable
        assert len(listed) == len(offered) + len(POLICIES)


@pytest.mark.parametrize("name", ["metrics", "record", "compare"])
async def test_the_palette_shows_each_key_upper_case_ones_too(name: str) -> None:
    async with opened() as (app, pilot, _):
        action = BY_ID[name]
        await pilot.press("ctrl+p", *action.title.lower())
        await until(lambda: f"[{action.shown_key}]" in text(app), pilot)
        assert f"{action.description.split('.')[0]}"[:20] in text(app)


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_leaving_keys_leave_when_nothing_runs(key: str) -> None:
    async with opened([*scene.up(), *scene.queued()]) as (app, pilot, runtime):
        await pilot.press(key)
        await pilot.pause()
        assert (app.return_value, runtime.closed) == (0, 1)


async def test_q_asks_while_a_task_runs_and_drain_waits_for_it() -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.press("q")
        await pilot.pause()
        assert type(app.screen).__name__ == "QuitScreen"
        app.screen.dismiss("drain")
        await pilot.pause()
        await pilot.pause()
        assert ("drain",) in runtime.fake.calls
        assert app.return_value == 0


async def test_a_click_selects_a_double_click_opens_and_the_wheel_scrolls() -> None:
    async with opened([*scene.up(), *scene.queued(100)]) as (app, pilot, _):
        rows = app.main.queue_list
        await pilot.click(rows, offset=(5, 3))
        assert rows.cursor == 3
        await pilot._post_mouse_events([MouseScrollDown], rows, offset=(5, 3))
        await pilot.pause(0.2)
        assert rows.scroll_offset.y > 0
        await pilot.click(rows, offset=(5, 2), times=2)
        await pilot.pause()
        assert type(app.screen).__name__ == "TaskScreen"


async def test_a_click_in_the_footer_does_what_the_key_would() -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.click("#footer", offset=(lines(app)[-1].index("pause"), 0))
        await pilot.pause()
        assert runtime.fake.calls == [("pause",)]


async def test_x_does_not_cancel_a_task_that_took_the_selected_ones_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aios_tui.console.screens.main.NOTICED_S", 3600)  # however slow the machine
    async with opened([*scene.up(), *scene.queued(5)]) as (app, pilot, runtime):
        first, second = list(app.view.order)[:2]
        runtime.fake.subscription.put(TaskStarted(scene.NOW, first, 1, 1))
        app.bridge.flush()
        await pilot.pause()
        await pilot.press("x")
        await pilot.pause()
        assert runtime.fake.calls == []
        assert f"#{first} has just left the list; press again to cancel #{second}" in app.last_notice
        await pilot.press("x")
        await pilot.pause()
        assert runtime.fake.calls == [("cancel", second)]


async def test_the_selection_stays_on_its_task_when_the_order_changes() -> None:
    async with opened([*scene.up(), *scene.queued(30)]) as (app, pilot, runtime):
        await pilot.press(*"jjjj")
        selected = app.main.selected
        runtime.fake.subscription.put(TaskAccepted(scene.NOW, 500, TaskSpec(prompt="urgent", priority=0)))
        app.bridge.flush()
        await pilot.pause()
        assert app.main.selected == selected
        assert app.main.queue_list.cursor == app.view.order.index(selected or 0)


async def test_results_follow_the_newest_while_the_cursor_is_on_it() -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.press("3")
        task = Task(50, TaskSpec(prompt="x"), scene.NOW - 5, 5, TaskState.DONE, ended_at=scene.NOW, result="new")
        runtime.fake.subscription.put(TaskEnded(scene.NOW, 50, TaskState.DONE, task))
        app.bridge.flush()
        await pilot.pause()
        assert app.main.selected == 50
        await pilot.press("j")
        runtime.fake.subscription.put(TaskEnded(scene.NOW, 51, TaskState.DONE, Task(51, TaskSpec(prompt="x"), 1.0, 5)))
        app.bridge.flush()
        await pilot.pause()
        assert app.main.selected == 8


async def test_without_a_core_the_console_stays_usable_and_says_why() -> None:
    async with opened([], trouble="model file [/foo] not found; run aios-tui doctor") as (app, pilot, _):
        assert "[/foo] not found" in lines(app)[1]
        await pilot.press("n")
        assert "no core is running: model file [/foo] not found" in app.last_notice
        await pilot.press("question_mark")
        await pilot.pause()
        assert type(app.screen).__name__ == "HelpScreen"


async def test_it_says_what_was_taken_up_from_an_earlier_run() -> None:
    tasks = tuple(Task(n, TaskSpec(prompt="x"), 1.0, 5) for n in (1, 2))
    recovery = Recovery(tasks, frozenset({2}), (3,))
    async with opened([], recovery=recovery) as (app, _, __):
        assert app.last_notice == (
            "2 tasks of an earlier run queued again, 1 had been interrupted, 1 task failed: interrupted too often"
        )


async def test_s_comes_back_to_the_priority_policy_that_was_left() -> None:
    async with opened([*scene.up(policy="npps:ageing=60")]) as (app, pilot, runtime):
        await pilot.press("s")
        runtime.fake.subscription.put(PolicyChanged(scene.NOW, "fifo", "npps:ageing=60"))
        app.bridge.flush()
        await pilot.press("s")
        assert runtime.fake.calls == [("switch_policy", "fifo"), ("switch_policy", "npps:ageing=60")]


async def test_s_leaves_affinity_as_it_is() -> None:
    async with opened([*scene.up(policy="fifo:affinity=3")]) as (app, pilot, runtime):
        await until(lambda: "to NPPS" in text(app), pilot)
        await pilot.press("s")
        runtime.fake.subscription.put(PolicyChanged(scene.NOW, "npps:affinity=3", "fifo:affinity=3"))
        app.bridge.flush()
        await pilot.press("s")
        assert runtime.fake.calls == [("switch_policy", "npps:affinity=3"), ("switch_policy", "fifo:affinity=3")]


async def test_a_warning_longer_than_the_footer_is_seen_whole() -> None:
    problem = f"agent {'/very/long/folder' * 6}/mine.toml: round 2: prompt: a field is missing, the last words"
    async with opened(size=(80, 24), agent_problems=[problem]) as (app, pilot, _):
        await until(lambda: "the last words" in text(app), pilot)
        assert problem in app.last_notice
        assert "ctrl+p commands" in text(app)
        app.notify("short", severity="warning")
        await pilot.pause()
        assert lines(app)[-1].startswith(" ▪ short")
