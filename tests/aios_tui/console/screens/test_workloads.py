"""The workloads screen and the replay keys, on a real kernel with the scripted core."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from aios_tui.console.app import ConsoleApp
from aios_tui.console.jobs.replay import speed_of
from aios_tui.console.screens.compare import CompareScreen
from aios_tui.console.screens.workloads import WorkloadScreen
from aios_tui.console.state.replay_view import speed_text
from aios_tui.console.widgets.workload_list import WorkloadList
from aios_tui.workloads.catalogue import at_path, found_in, recording_name
from engine.errors import UsageError
from engine.replay.service_model import Rates
from engine.task import KernelState
from engine.workloads.reader import load
from tests.aios_tui.console.fake_runtime import FakeHistory
from tests.aios_tui.console.helpers import lines, opened, text
from tests.aios_tui.console.input.test_bursts import burst
from tests.aios_tui.console.scene import NOW
from tests.aios_tui.console.test_real_runtime import QUICK, SLOW, real, until

HEAD = '{"kind": "workload", "version": 1}\n'


def workload(folder: Path, name: str, *rows: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return path


def task(number: int, at: float, priority: int = 5) -> str:
    return f'{{"kind": "task", "at": {at}, "prompt": "number {number}", "priority": {priority}}}'


def spaced(folder: Path, count: int = 5, gap: float = 1000.0) -> Path:
    """A workload whose tasks come so far apart that none arrives by itself in a test, but for the first."""
    return workload(folder, "spaced.jsonl", *(task(n, n * gap) for n in range(count)))


def screen_of(app: object) -> WorkloadScreen:
    screen = getattr(app, "screen", None)
    assert isinstance(screen, WorkloadScreen)
    return screen


async def test_w_lists_samples_and_files_and_says_what_is_in_them(tmp_path: Path) -> None:
    spaced(tmp_path / "w")
    async with opened(size=(120, 40)) as (app, pilot, _):
        app.workloads_folder = tmp_path / "w"
        await pilot.press("w")
        await until(pilot, lambda: app.screen.query_one(WorkloadList).option_count == 6)
        screen = screen_of(app)
        await until(pilot, lambda: screen.summary is not None)
        shown = text(app)
        for word in ("aios-five", "azure-1000", "mooncake-200", "spaced.jsonl", "tech_support_agent 3", "all at once"):
            assert word in shown
        await pilot.press("G")
        await until(pilot, lambda: screen.summary is not None and screen.summary.tasks == 5)
        assert screen.entry is not None and screen.entry.name == "spaced.jsonl"
        assert "over 1:06:40" in text(app)
        moved = []
        for key in ("g", "j", "down", "k", "up", "end", "home"):
            await pilot.press(key)
            moved.append(screen.query_one(WorkloadList).highlighted)
        assert moved == [1, 2, 3, 2, 1, 5, 1]
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main


async def test_the_five_tasks_replay_into_the_running_kernel_and_are_kept(tmp_path: Path) -> None:
    async with real(tmp_path, QUICK) as (app, pilot):
        await pilot.press("w")
        screen = screen_of(app)
        await until(pilot, lambda: screen.why_not_replay() is None)
        await pilot.press(*["greater_than_sign"] * 3)
        assert screen.query_one("#speed", Input).value == "max"
        await pilot.press("enter")
        await until(pilot, lambda: app.view.counts.done == 5)
        await until(pilot, lambda: app.replaying is None)
        assert app.screen is app.main
        assert "aios-five ended: 5 tasks" in app.last_notice
        (kept,) = await app.runs.listed()
        assert (kept.workload, kept.policy, kept.kind, kept.tasks, kept.complete) == (
            "aios-five.jsonl", "npps", "live", 5, True,
        )  # fmt: skip
        run = await app.runs.load(kept.id)
        assert len(run.order) == 5 and not run.failed
        assert {result.agent for result in app.view.results} == {"story_teller", "tech_support_agent"}


async def test_a_replay_is_paused_stepped_hastened_and_stopped_by_keys(tmp_path: Path) -> None:
    path = spaced(tmp_path / "w")
    async with real(tmp_path, QUICK) as (app, pilot):
        app.workloads_folder = path.parent
        await pilot.press("w")
        screen = screen_of(app)
        await until(pilot, lambda: screen.query_one(WorkloadList).option_count == 6)
        await pilot.press("G")
        await until(pilot, lambda: screen.why_not_replay() is None)
        await pilot.press("enter")
        await until(pilot, lambda: app.view.counts.done == 1)
        replay = app.replaying
        assert replay is not None
        app.bridge.tick()
        await pilot.pause()
        (line,) = [line for line in lines(app) if line.startswith(" ▶ spaced")]
        assert "1/5 sent" in line and "1×" in line and "P pause" in line
        await pilot.press("P")
        await until(pilot, lambda: any("‖ spaced" in line and "paused" in line for line in lines(app)))
        await pilot.press("N")
        await until(pilot, lambda: app.view.counts.done == 2)
        now = replay.view
        assert (now.paused, now.sent) == (True, 2)
        seen = []
        for key in ("greater_than_sign", "greater_than_sign", "less_than_sign", "less_than_sign", "less_than_sign"):
            await pilot.press(key)
            seen.append(replay.view.speed)
        assert seen == [2.0, 5.0, 2.0, 1.0, 0.5]
        await pilot.press("P")
        now = replay.view
        assert not now.paused
        await pilot.press("X")
        await until(pilot, lambda: app.replaying is None)
        assert "stopped: 2 of 5 tasks sent" in app.last_notice
        (kept,) = await app.runs.listed()
        assert (kept.tasks, kept.complete) == (2, False)
        assert not any(line.startswith((" ▶", " ‖")) for line in lines(app))
        for key in ("P", "N", "X", "less_than_sign", "greater_than_sign"):
            await pilot.press(key)
            assert "no replay is running" in app.last_notice


async def test_the_workloads_own_switches_are_done_or_left_out(tmp_path: Path) -> None:
    control = '{"kind": "control", "at": 0, "op": "policy", "policy": "fifo"}'
    path = workload(tmp_path / "w", "switching.jsonl", control, task(1, 0))
    async with real(tmp_path, QUICK) as (app, pilot):
        app.workloads_folder = path.parent
        for switches, policy in ((False, "npps"), (True, "fifo")):
            await pilot.press("w")
            screen = screen_of(app)
            await until(pilot, lambda: app.screen.query_one(WorkloadList).option_count == 6)
            await pilot.press("G")
            await until(pilot, lambda: app.screen is app.main or screen_of(app).why_not_replay() is None)
            assert "follows the file's 1 policy switch" in text(app)
            if not switches:
                await pilot.press("space")
                assert "leaves out the file's 1 policy switch" in text(app)
            assert screen.switches is switches
            done = app.view.counts.done
            await pilot.press("enter")
            await until(pilot, lambda done=done: app.view.counts.done == done + 1 and app.replaying is None)  # type: ignore[misc]
            assert app.view.policy == policy


async def test_a_path_is_typed_in_and_a_bad_one_said(tmp_path: Path) -> None:
    good = spaced(tmp_path)
    bad = workload(tmp_path, "bad.jsonl", '{"kind": "task", "prompt": "x", "priority": 77}')
    async with opened() as (app, pilot, _):
        await pilot.press("w")
        screen = screen_of(app)
        await until(pilot, lambda: screen.summary is not None)
        for path in (tmp_path / "none.jsonl", good, bad):
            await pilot.press("i")
            screen.query_one("#path", Input).value = str(path)
            await pilot.press("enter")
            await pilot.pause()
            if path.name == "none.jsonl":
                assert "no such file" in text(app)
                await pilot.press("escape")
                assert screen.focused is screen.query_one(WorkloadList)
        await until(pilot, lambda: "bad.jsonl, line 2" in str(screen.query_one("#facts", Static).content))
        await pilot.press("k")
        await until(pilot, lambda: screen.summary is not None and screen.summary.tasks == 5)
        await pilot.press("j", "v")
        assert "line 2" in str(screen.query_one("#problem", Static).content)
        await pilot.press("enter")
        assert screen.is_current


async def test_a_speed_is_typed(tmp_path: Path) -> None:
    async with opened() as (app, pilot, _):
        await pilot.press("w")
        screen = screen_of(app)
        field = screen.query_one("#speed", Input)
        await pilot.press("e")
        field.value = "-1"
        await pilot.press("enter")
        assert "'-1' is not a speed" in str(screen.query_one("#problem", Static).content)
        field.value = "0.5x"
        await pilot.press("enter")
        assert screen.focused is screen.query_one(WorkloadList)
        await pilot.press("greater_than_sign")
        assert field.value == "1"


async def test_simulating_fills_the_comparison(tmp_path: Path) -> None:
    async with opened() as (app, pilot, _):
        await pilot.press("w")
        screen = screen_of(app)
        await pilot.press("j")
        await until(pilot, lambda: screen.summary is not None)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and len(app.screen.shown) == 3)
        compare = app.screen
        assert isinstance(compare, CompareScreen)
        assert [run.kept.policy for run in compare.shown] == ["fifo", "npps", "npps:ageing=60"]
        assert [run.metrics.n for run in compare.shown] == [1000] * 3
        assert compare.shown[0].metrics.inversions > compare.shown[1].metrics.inversions == 0
        shown = text(app)
        for word in ("A fifo", "B npps", "C npps:60", "waiting p95 s", "Jain index", "inversions", "✓"):
            assert word in shown
        assert any("⠁" <= character <= "⣿" for character in shown)
        await pilot.press("w")
        await pilot.pause()
        assert app.screen is screen and len(app.screen_stack) == 2


@pytest.mark.parametrize(("size", "part"), [((120, 40), "runs"), ((80, 24), "table")])
async def test_v_right_behind_w_simulates_and_shows_the_figures(size: tuple[int, int], part: str) -> None:
    async with opened(size=size) as (app, pilot, _):
        burst(app, ["w", "v"])
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and len(app.screen.shown) == 3)
        assert isinstance(app.screen, CompareScreen)
        assert app.screen.part == part
        await until(pilot, lambda: "makespan s" in text(app))


async def test_simulating_goes_by_the_rates_of_the_history_once_it_has_enough(tmp_path: Path) -> None:
    async with opened() as (app, pilot, runtime):
        history = cast(FakeHistory, runtime.history)
        big: tuple[str | None, int, int, float, float] = ("big", 100, 10, 1.0, 1.0)
        history.timed = [big] * 19
        await pilot.press("w", "j")
        screen = screen_of(app)
        await until(pilot, lambda: screen.summary is not None)
        assert "prefill 1,000, decode 50 tok/s  assumed until 20 attempts are done" in text(app)
        history.timed = [*[big] * 20, *[("small", 900, 50, 1.0, 1.0)] * 2]
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and len(app.screen.shown) == 3)
        assert isinstance(app.screen, CompareScreen)
        notes = {run.kept.note for run in app.screen.shown}
        overall = f"prefill {3800 / 22:,.0f}, decode {300 / 22:,.0f} tok/s"
        said = f"2 slots, {overall} (measured: the newest 22 attempts)"
        assert [note.startswith(said) for note in notes] == [True]
        assert dict(screen.measured.service.per_model) == {"big": Rates(100, 10)}  # the small one has too few
        slow = app.screen.shown[0].metrics.makespan
        history.timed = [("big", 10_000, 1_000, 1.0, 1.0)] * 20
        await pilot.press("escape", "v")
        await until(
            pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.shown[0].metrics.makespan < slow
        )


async def test_replaying_needs_a_kernel_and_waits_for_the_one_before(tmp_path: Path) -> None:
    path = spaced(tmp_path / "w")
    async with opened(trouble="no such model") as (app, pilot, _):
        await pilot.press("w")
        await pilot.press("enter")
        assert "no core is running" in str(app.screen.query_one("#problem", Static).content)
    async with real(tmp_path, QUICK) as (app, pilot):
        app.workloads_folder = path.parent
        await pilot.press("w")
        await until(pilot, lambda: app.screen.query_one(WorkloadList).option_count == 6)
        await pilot.press("G")
        screen = screen_of(app)
        await until(pilot, lambda: screen.why_not_replay() is None)
        await pilot.press("enter")
        await until(pilot, lambda: app.replaying is not None)
        await pilot.press("w")
        await until(pilot, lambda: app.screen.query_one(WorkloadList).option_count == 6)
        await pilot.press("enter")
        assert "spaced is being replayed" in str(app.screen.query_one("#problem", Static).content)


async def test_quitting_during_a_replay_ends_it(tmp_path: Path) -> None:
    path = spaced(tmp_path / "w")
    async with real(tmp_path, SLOW) as (app, pilot):
        app.workloads_folder = path.parent
        await pilot.press("w")
        await until(pilot, lambda: app.screen.query_one(WorkloadList).option_count == 6)
        await pilot.press("G")
        await until(pilot, lambda: screen_of(app).why_not_replay() is None)
        await pilot.press("enter")
        await until(pilot, lambda: app.view.running == 1)
        await pilot.press("q")
        await until(pilot, lambda: type(app.screen).__name__ == "QuitScreen")
        await pilot.press("q")
        await until(pilot, lambda: app.return_value == 0)


async def write(app: ConsoleApp, pilot: Pilot[int], line: str) -> None:
    await pilot.press("i")
    app.main.quick_line.input.value = line
    await pilot.press("enter", "escape")


async def test_a_recorded_session_replays_to_the_same_order(tmp_path: Path) -> None:
    """Actions in one console, a pause and a policy switch included, are replayed into another."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    orders: list[list[str]] = []
    async with real(tmp_path / "one", QUICK) as (app, pilot):
        app.workloads_folder = tmp_path / "w"
        await pilot.press("s", "p", "R")
        await until(pilot, lambda: app.runtime.recording is not None)
        for words in ("!7 seven", "!2 two", "!5 five", "!2 deux"):
            await write(app, pilot, words)
        await until(pilot, lambda: app.runtime.recorded == 4)
        await pilot.press("s")
        await write(app, pilot, "!0 zero")
        await until(pilot, lambda: app.runtime.recorded == 5)
        app.bridge.tick()
        await pilot.pause()
        (mark,) = [line for line in lines(app) if "● REC" in line]
        assert " 5" in mark
        await pilot.press("p")
        await until(pilot, lambda: app.view.counts.done == 5)
        await pilot.press("R")
        await until(pilot, lambda: app.runtime.recording is None)
        assert "recorded 5 tasks" in app.last_notice
        orders.append([result.prompt for result in reversed(app.view.results)])
    (path,) = (tmp_path / "w").iterdir()
    assert [row.prompt for row in load(path).tasks] == ["seven", "two", "five", "deux", "zero"]
    async with real(tmp_path / "two", QUICK) as (app, pilot):
        app.workloads_folder = tmp_path / "w"
        await pilot.press("w")
        await until(pilot, lambda: app.screen.query_one(WorkloadList).option_count == 6)
        await pilot.press("G")
        await until(pilot, lambda: screen_of(app).why_not_replay() is None)
        screen_of(app).query_one("#speed", Input).value = "max"
        await pilot.press("enter")
        await until(pilot, lambda: app.view.counts.done == 5)
        await until(pilot, lambda: app.replaying is None)
        assert app.view.policy == "npps" and app.view.kernel is KernelState.RUNNING
        orders.append([result.prompt for result in reversed(app.view.results)])
    assert orders[0] == orders[1] == ["zero", "two", "deux", "five", "seven"]


async def test_a_recording_that_breaks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (app, pilot, runtime):
        runtime.recorded_to = tmp_path / "x.jsonl"
        monkeypatch.setattr(runtime, "recording_over", True)

        async def stop() -> Path | None:
            runtime.recorded_to, runtime.recording_over = None, False
            raise UsageError("x.jsonl: No space left on device")

        monkeypatch.setattr(runtime, "stop_recording", stop)
        app._tick()
        await until(pilot, lambda: "No space left" in app.last_notice)
        assert "REC" not in text(app)


def test_the_shelf_takes_workload_files_the_newest_first(tmp_path: Path) -> None:
    assert found_in(None) == found_in(tmp_path / "none") == []
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst", "notes.txt", ".hidden.jsonl"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    assert {entry.name for entry in found_in(tmp_path)} == {"a.jsonl", "b.jsonl.gz", "c.jsonl.zst"}
    for given in ("none.jsonl", "a\0b", "~nobody-has-this-name/x"):
        with pytest.raises(UsageError, match="no such file"):
            at_path(given)


def test_a_recording_never_takes_a_name_that_is_there(tmp_path: Path) -> None:
    from datetime import datetime

    at = datetime.fromtimestamp(NOW)
    first = recording_name(tmp_path, at)
    assert first.name == "session-20260314-140230.jsonl"
    first.touch()
    assert recording_name(tmp_path, at).name == "session-20260314-140230-2.jsonl"


def test_speeds_are_read_and_written() -> None:
    assert [speed_of(given) for given in ("1", " 2x", "0.5×", "10 X")] == [1.0, 2.0, 0.5, 10.0]
    assert math.isinf(speed_of("MAX")) and math.isinf(speed_of("inf"))
    assert (speed_text(2.0), speed_text(math.inf)) == ("2×", "full speed")
    for given in ("", "0", "-1", "nan", "fast", "1e999"):
        with pytest.raises(UsageError, match="not a speed"):
            speed_of(given)


async def test_while_a_field_is_written_in_the_hints_are_its_own() -> None:
    async with opened(size=(80, 24)) as (app, pilot, _):
        await pilot.press("w", "i")
        await pilot.pause()
        assert "enter add the file to the list  esc back to the list" in lines(app)[-1]
        assert "simulate" not in lines(app)[-1]
        await pilot.press("escape", "e")
        await pilot.pause()
        assert "enter use the speed  esc back to the list" in lines(app)[-1]
        await pilot.press("escape")
        await pilot.pause()
        assert "v simulate" in lines(app)[-1]
