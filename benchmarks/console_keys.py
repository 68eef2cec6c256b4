"""Time from a key press to the drawn frame, with 10,000 queued tasks and 8 streams running.

Beside it, in the same run, a DataTable of the same rows in an app that does nothing else. Both are driven by Textual's
pilot without a terminal: what is measured is the time on the loop from the key's event to the frame it causes, and the
processor time spent meanwhile. A last line has the processor time to ask a real kernel what runs next and to put that
first, as the console does for each frame in which the queue changed.

Run `python -m benchmarks.console_keys [TASKS]`.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import DataTable

from aios_tui.console.app import ConsoleApp
from aios_tui.console.state.ready_order import HEAD
from aios_tui.console.state.reducer import resync
from aios_tui.console.state.view_state import ViewState
from engine import events as e
from engine.agents.catalogue import load_catalogue
from engine.cores.port import SlotState
from engine.cores.scripted import ScriptedCore
from engine.kernel import Kernel
from engine.scheduling import parse_policy
from engine.store import MemoryStore
from engine.task import KernelState, TaskSpec
from tests.aios_tui.console.fake_runtime import FakeRuntime, FakeSubscription
from tests.aios_tui.console.memory_runs import MemoryRuns

STREAMS, PRESSES, SIZE = 8, 60, (120, 40)


def spec(n: int) -> TaskSpec:
    return TaskSpec(agent="story_teller", prompt=f"Prompt number {n}, with a story of some length", priority=n % 10)


def load(tasks: int, at: float) -> list[e.Event]:
    """A kernel with 8 busy slots and a long queue."""
    events: list[e.Event] = [e.KernelStateChanged(at, KernelState.RUNNING), e.PolicyChanged(at, "npps", None)]
    for n in range(STREAMS):
        events += [
            e.SlotChanged(at, f"s/{n}", "s", SlotState.UP, ""),
            e.TaskAccepted(at, n + 1, spec(n)),
            e.TaskStarted(at, n + 1, n + 1, 3),
            e.AttemptStarted(at, n + 1, 1, 1, f"s/{n}", "s", "m", at, "prompt"),
        ]
    events += [e.TaskAccepted(at, n, spec(n)) for n in range(STREAMS + 1, tasks + STREAMS + 1)]
    return events


async def stream(subscription: FakeSubscription) -> None:
    """Eight streams of 60 tokens a second."""
    while True:
        await asyncio.sleep(1 / 60)
        now = time.time()
        subscription.put(*(e.AttemptProgress(now, n + 1, 1, 1, f"s/{n}", "text", "goose ", 1) for n in range(STREAMS)))


class Frames:
    """Reports when a screen has drawn."""

    def __init__(self) -> None:
        self.drawn = asyncio.Event()
        original = Screen._compositor_refresh

        def refresh(screen: Screen[Any]) -> None:
            original(screen)
            self.drawn.set()

        Screen._compositor_refresh = refresh  # type: ignore[method-assign,assignment]


async def press(pilot: Pilot[Any], frames: Frames, moved: Callable[[], int]) -> tuple[float, float]:
    """One `down`: seconds until the frame that shows the moved cursor, and processor seconds."""
    before = moved()
    wall, cpu = time.perf_counter(), time.process_time()
    pilot.app.post_message(_down())
    while moved() == before:  # noqa: ASYNC110  (turn by turn, to see the very one in which it moved)
        await asyncio.sleep(0)
    frames.drawn.clear()
    await frames.drawn.wait()
    return time.perf_counter() - wall, time.process_time() - cpu


async def change(frames: Frames, act: Callable[[], object]) -> tuple[float, float]:
    """One change of a visible row: seconds until it is drawn, and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    frames.drawn.clear()
    act()
    await frames.drawn.wait()
    return time.perf_counter() - wall, time.process_time() - cpu


def _down() -> Any:
    from textual.events import Key

    return Key("down", None)


Sample = tuple[list[float], list[float]]
"""Wall and processor seconds, one of each per press or change."""


async def measure(pilot: Pilot[Any], moved: Callable[[], int], alter: Callable[[int], object]) -> tuple[Sample, Sample]:
    """Presses, then changes."""
    frames = Frames()
    pressed, changed = [], []
    for _ in range(PRESSES):
        pressed.append(await press(pilot, frames, moved))
        await asyncio.sleep(0.03)
    for n in range(PRESSES):
        changed.append(await change(frames, partial(alter, n)))
        await asyncio.sleep(0.03)
    return _columns(pressed), _columns(changed)


def _columns(rows: list[tuple[float, float]]) -> Sample:
    return [wall for wall, _ in rows], [cpu for _, cpu in rows]


async def console(tasks: int, *, streams: bool) -> tuple[Sample, Sample, float]:
    runtime = FakeRuntime(load(tasks, time.time()))
    app = ConsoleApp(runtime, runs=MemoryRuns())
    started = time.process_time()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.bridge.flush()
        await pilot.pause()
        opened = time.process_time() - started
        source = asyncio.create_task(stream(runtime.fake.subscription)) if streams else None
        await asyncio.sleep(0.5)

        def submit(n: int) -> None:
            """A new, urgent task goes to the head of the queue, so that every visible row moves."""
            runtime.fake.subscription.put(e.TaskAccepted(time.time(), tasks + 100 + n, spec(0)))
            app.bridge.flush()

        keys, changes = await measure(pilot, lambda: app.main.queue_list.cursor, submit)
        if source is not None:
            source.cancel()
    return keys, changes, opened


class Peer(App[None]):
    """A DataTable of the same rows, and nothing else."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self._tasks = tasks

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("", "task", "pri", "agent", "waited", "rnd", "prompt")
        table.add_rows(
            (str(n), f"#{n}", str(n % 10), "story_teller", "0:00", "–", spec(n).prompt) for n in range(self._tasks)
        )
        table.focus()


async def peer(tasks: int) -> tuple[Sample, Sample, float]:
    app = Peer(tasks)
    started = time.process_time()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        opened = time.process_time() - started
        table = app.query_one(DataTable)

        def submit(n: int) -> None:
            """A row is added at the end: DataTable has no way to put one elsewhere, short of sorting all of them."""
            table.add_row("", f"#{tasks + n}", "0", "story_teller", "0:00", "–", spec(n).prompt)

        keys, changes = await measure(pilot, lambda: table.cursor_row, submit)
    return keys, changes, opened


async def queue_order(tasks: int, policy: str) -> tuple[float, float]:
    """Median processor seconds for `Kernel.upcoming`, and for putting its answer first after a change."""
    core = ScriptedCore.parse(f"ttft=3600,slots={STREAMS}")
    kernel = Kernel(cores=[core], store=MemoryStore(), agents=load_catalogue(None)[0], policy=parse_policy(policy))
    await kernel.start()
    await kernel.submit_many([TaskSpec(prompt="x", priority=n % 10) for n in range(tasks)])
    view = resync(ViewState(), kernel.snapshot())
    asked, ordered = [], []
    for _ in range(PRESSES):
        await kernel.submit(TaskSpec(prompt="x", priority=0))
        view = resync(view, kernel.snapshot())
        begun = time.process_time()
        upcoming = kernel.upcoming(HEAD)
        between = time.process_time()
        view.order.lead_with(task for task, _ in upcoming)
        asked.append(between - begun)
        ordered.append(time.process_time() - between)
    await kernel.stop()
    return statistics.median(asked), statistics.median(ordered)


def report(name: str, keys: Sample, changes: Sample, opened: float) -> tuple[float, float, float]:
    worst = sorted(keys[0])[int(len(keys[0]) * 0.95)]
    key, change_ = statistics.median(keys[1]) * 1e3, statistics.median(changes[1]) * 1e3
    print(
        f"{name:<42} key to paint {statistics.median(keys[0]) * 1e3:5.1f} ms, p95 {worst * 1e3:5.1f};"
        f" processor: a key {key:5.1f} ms, a new row {change_:6.1f} ms, to open {opened * 1e3:6.0f} ms"
    )
    return key, change_, opened


def main() -> None:
    """Print a line each, and the ratios."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    report(f"console, {tasks:,} queued, {STREAMS} streams", *asyncio.run(console(tasks, streams=True)))
    ours = report(f"console, {tasks:,} queued, no streams", *asyncio.run(console(tasks, streams=False)))
    theirs = report(f"DataTable, {tasks:,} rows, nothing else", *asyncio.run(peer(tasks)))
    key, row, opened = (their / our for their, our in zip(theirs, ours, strict=True))
    for policy in ("npps", "npps:affinity=8"):
        asked, ordered = asyncio.run(queue_order(tasks, policy))
        times = f"asked in {asked * 1e3:.2f} ms, put first in {ordered * 1e3:.2f} ms"
        print(f"what runs next, {tasks:,} queued, {policy}: {times}")
    print(f"DataTable / console, processor time: a key {key:.1f}, a new row {row:.1f}, to open {opened:.1f}")


if __name__ == "__main__":
    main()
