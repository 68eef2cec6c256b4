"""Live replay: submits a workload to a running kernel at its times, and measures what becomes of each task."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from itertools import groupby

from engine.events import AttemptEnded, ModelSwapped, TaskEnded, TaskRecovered, TaskStarted
from engine.kernel import Kernel, Subscription
from engine.replay.live_results import LiveResults, Progress, TaskOutcome
from engine.replay.synthetic_prompt import MAX_TOKENS, synthetic_prompt
from engine.replay.tables import Run
from engine.task import AttemptState, TaskSpec
from engine.workloads.format import ControlRow, Item, TaskRow
from engine.workloads.reader import Workload

Change = Callable[[TaskSpec], TaskSpec]
_Counted = TaskStarted | AttemptEnded | ModelSwapped | TaskEnded
"""Events that change the results."""


class LiveReplay:
    """Plays one workload into one kernel, once. Other tasks of the kernel are left alone and do not count.

    `run()` submits and waits; `pause`, `resume`, `step`, `stop` and `speed` may be used meanwhile, on the same loop.
    Tasks of one moment are submitted together. Times are divided by `speed`; at infinity all are submitted at once.
    """

    def __init__(
        self,
        kernel: Kernel,
        workload: Workload,
        *,
        speed: float = 1.0,
        switches: bool = True,
        pauses: bool = True,
        longest_prompt: int | None = None,
        change: Change | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Prepare the replay; `run` starts it. Raises ValueError for a speed that is not above 0.

        `switches`: apply the workload's own switches of policy. `pauses`: pause and resume the kernel as it says; a
        pause that it does not end is ended when all tasks are submitted, and tasks that it holds are released then.
        `longest_prompt`: tokens of a synthetic prompt at most, to fit a small context. `change` may alter each
        task before it is submitted. `on_progress` is called after every change of the progress, which may be often.
        """
        self._kernel = kernel
        self._workload = workload
        self._speed = _checked_speed(speed)
        self._switches = switches
        self._pauses = pauses
        self._kernel_paused = False
        self._held: set[int] = set()
        self._ids: dict[str, int] = {}
        self._longest = longest_prompt
        self._change = change
        self._report_to = on_progress
        self._total = len(workload.tasks)
        self._results = LiveResults()
        self._position = 0.0
        self._begun = self._since = kernel.now()
        self._policy = kernel.policy.name
        self._switches_done: list[tuple[float, str]] = []
        self._playing = self._closed = False
        self._paused = self._stopped = False
        self._steps = 0
        self._events: list[_Counted] = []
        self._events_lost = False
        self._wake = asyncio.Event()

    # -- while it runs -------------------------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        results = self._results
        sent = len(results.outcomes)
        return Progress(self._now(), self._total, sent, results.started, results.done, results.failed, self._paused)

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        """Raises ValueError when it is not above 0."""
        value = _checked_speed(value)
        self._update_position()
        self._speed = value
        self._wake.set()

    def pause(self) -> None:
        """Submit nothing more until `resume` or `step`. Submitted tasks continue."""
        self._update_position()
        self._paused = True

    def resume(self) -> None:
        self._update_position()
        self._paused = False
        self._wake.set()

    def step(self) -> None:
        """While paused, go to the next moment of the workload and submit its tasks."""
        self._steps += 1
        self._wake.set()

    def stop(self) -> None:
        """Make `run()` return without submitting or waiting any more. Submitted tasks stay with the kernel."""
        self._stopped = True
        self._wake.set()

    def on_progress(self, report: Callable[[Progress], None] | None) -> None:
        """Call `report` from now on after each change of the progress, in place of the previous function."""
        self._report_to = report

    @property
    def unended(self) -> list[int]:
        """The kernel's ids of the tasks that were submitted and have not ended."""
        return [id_ for id_, outcome in self._results.outcomes.items() if not outcome.ended]

    @property
    def task_ids(self) -> list[int]:
        """The kernel's ids of the tasks submitted so far, in order of the workload."""
        return list(self._results.outcomes)

    # -- running -------------------------------------------------------------------------------------------------------

    async def run(self) -> Run:
        """Play the workload; returns the measured run when every task submitted has ended, or `stop()` was called.

        Raises:
            UsageError: an agent is not known. KernelClosed, StoreError: the kernel takes no more tasks.
        """
        self._policy = self._kernel.policy.name
        self._begun = self._since = self._kernel.now()
        self._playing = True
        subscription = self._kernel.subscribe()
        pump = asyncio.create_task(self._pump(subscription), name="replay events")
        try:
            for moment in _moments(self._workload.items):
                if not await self._wait_until(moment[0].at):
                    break
                await self._send(moment)
            self._undo_controls()
            while not (self._stopped or self._closed or self._results.all_ended):
                await self._listen(None)
        finally:
            self._undo_controls()
            self._update_position()
            self._playing = False
            subscription.close()
            await pump
            await self._fold()
        return self.result()

    async def _wait_until(self, at: float) -> bool:
        """Wait for the workload's moment `at`; False when stopped before."""
        while not (self._stopped or self._closed):
            if self._paused and self._steps:
                self._steps -= 1
                self._position, self._since = max(self._position, at), self._kernel.now()
                return True
            if math.isinf(self._speed) and not self._paused:
                self._position = max(self._position, at)
                return True
            left = (at - self._now()) / self._speed
            if not self._paused and left <= 0:
                return True
            await self._listen(None if self._paused else left)
        return False

    async def _send(self, moment: list[Item]) -> None:
        """Apply one moment: switches and pauses, then new tasks, then actions on tasks and resuming."""
        rows = [item for item in moment if isinstance(item, TaskRow)]
        controls = [item for item in moment if isinstance(item, ControlRow)]
        for control in controls:
            self._before_tasks(control)
        if rows:
            await self._submit(rows)
        for control in controls:
            await self._after_tasks(control)

    def _before_tasks(self, control: ControlRow) -> None:
        if control.policy is not None and self._switches:
            before = self._kernel.policy.name
            self._kernel.switch_policy(control.policy)
            if before == self._kernel.policy.name:
                return
            self._switches_done.append((self._kernel.now() - self._begun, control.policy))
        elif control.op == "pause" and self._pauses:
            self._kernel.pause()
            self._kernel_paused = True

    async def _after_tasks(self, control: ControlRow) -> None:
        if control.op == "resume":
            self._resume_kernel()
        id_ = self._ids.get(control.task or "")
        if id_ is None:
            return
        if control.op == "cancel":
            await self._kernel.cancel(id_, "cancelled in the workload")
        elif control.op == "hold":
            self._kernel.hold(id_)
            self._held.add(id_)
        elif control.op == "release":
            self._kernel.release(id_)
            self._held.discard(id_)
        elif control.priority is not None:
            self._kernel.reprioritise(id_, control.priority)

    def _undo_controls(self) -> None:
        """End a pause of the workload's own, and release what it holds, so that no task waits for ever."""
        self._resume_kernel()
        while self._held:
            self._kernel.release(self._held.pop())

    def _resume_kernel(self) -> None:
        if self._kernel_paused:
            self._kernel_paused = False
            self._kernel.resume()

    async def _submit(self, rows: list[TaskRow]) -> None:
        specs = [self._spec(row) for row in rows]
        submitted = self._kernel.now()
        for id_, row, spec in zip(await self._kernel.submit_many(specs), rows, specs, strict=True):
            name = row.id or f"t{len(self._results.outcomes) + 1}"
            self._results.outcomes[id_] = TaskOutcome(name, spec, submitted)
            self._ids[name] = id_
        await self._fold()
        self._report()

    def _spec(self, row: TaskRow) -> TaskSpec:
        """The task to submit. Without text, it gets a synthetic prompt of its length and a limit on its reply."""
        spec = row.spec(self._workload.header.defaults, self._workload.name or None)
        if not spec.prompt.strip() and spec.query is None:
            options = spec.options
            if spec.output_tokens is not None and options.max_tokens is None:
                options = options.model_copy(update={"max_tokens": max(1, spec.output_tokens)})
            tokens = min(spec.input_tokens or 0, self._longest or MAX_TOKENS)
            spec = spec.model_copy(update={"prompt": synthetic_prompt(tokens), "options": options})
        return self._change(spec) if self._change else spec

    # -- events --------------------------------------------------------------------------------------------------------

    async def _listen(self, seconds: float | None) -> None:
        """Wait for events, at most `seconds`, and record them."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        await self._fold()

    async def _pump(self, subscription: Subscription) -> None:
        while True:
            await subscription.wait()
            self._events_lost |= subscription.lost
            events = [event for event in subscription.drain() if isinstance(event, _Counted)]
            self._events += events
            if events or self._events_lost or subscription.closed:
                self._wake.set()
            if subscription.closed:
                self._closed = True
                return

    async def _fold(self) -> None:
        """Record the events of this replay's tasks."""
        events, self._events = self._events, []
        if self._events_lost:
            self._events_lost = False
            await self._catch_up()
        results = self._results
        for event in events:
            if event.task not in results.outcomes:
                continue
            outcome = results.outcomes[event.task]
            if isinstance(event, TaskStarted):
                results.start(outcome, event.at, event.dispatch_order)
            elif isinstance(event, AttemptEnded):
                results.load_s += event.usage.load_s if event.state is AttemptState.DONE else 0.0
            elif isinstance(event, ModelSwapped):
                results.swaps += 1
            else:
                results.end(outcome, event.final)
        if events:
            self._report()

    async def _catch_up(self) -> None:
        """Recover from lost events: the kernel knows what runs, and the history what ended."""
        snapshot, results = self._kernel.snapshot(), self._results
        alive = {event.task for event in snapshot if isinstance(event, TaskRecovered)}
        for event in snapshot:
            if isinstance(event, TaskStarted) and event.task in results.outcomes:
                results.start(results.outcomes[event.task], event.at, event.dispatch_order)
        for id_, outcome in results.outcomes.items():
            if not outcome.ended and id_ not in alive:
                try:
                    results.end(outcome, await self._kernel.wait(id_))
                except KeyError:  # it ended so long ago that a history in memory has dropped it
                    results.end(outcome, None)

    def _report(self) -> None:
        if self._report_to is not None:
            self._report_to(self.progress)

    # -- time ----------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        """Seconds of the workload that have passed."""
        if self._paused or not self._playing or math.isinf(self._speed):
            return self._position
        return self._position + (self._kernel.now() - self._since) * self._speed

    def _update_position(self) -> None:
        self._position, self._since = self._now(), self._kernel.now()

    # -- the result ----------------------------------------------------------------------------------------------------

    def result(self) -> Run:
        """The run as measured so far; available too when `run()` was cancelled."""
        return self._results.run(
            policy=self._policy,
            slots=sum(len(core.slots()) for core in self._kernel.cores),
            begun=self._begun,
            switches=tuple(self._switches_done),
            note=f"live at speed {'max' if math.isinf(self._speed) else format(self._speed, 'g')}",
        )


def _moments(items: Iterable[Item]) -> list[list[Item]]:
    """Group items that have the same time."""
    return [list(moment) for _, moment in groupby(items, key=lambda item: item.at)]


def _checked_speed(speed: float) -> float:
    if not speed > 0:
        raise ValueError("a speed is a number above 0")
    return speed
