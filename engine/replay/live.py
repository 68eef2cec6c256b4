"""A workload played into a running kernel: tasks arrive at their offsets, and what became of each is kept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable

from engine.events import AttemptEnded, ModelSwapped, TaskEnded, TaskRecovered, TaskStarted
from engine.kernel import Kernel, Subscription
from engine.replay.live_results import LiveResults, Progress, TaskOutcome
from engine.replay.synthetic_prompt import MAX_TOKENS, synthetic_prompt
from engine.replay.tables import Run
from engine.task import TaskSpec
from engine.workloads.format import ControlRow, Item, TaskRow
from engine.workloads.reader import Workload

Change = Callable[[TaskSpec], TaskSpec]
_Counted = TaskStarted | AttemptEnded | ModelSwapped | TaskEnded
"""Events that change the results."""


class LiveReplay:
    """Plays one workload into one kernel, once. Other tasks of the kernel are left alone, and do not count.

    `run()` sends and waits; `pause`, `resume`, `step`, `stop` and `speed` may be used meanwhile, on the same loop.
    Tasks of one moment are submitted together. Times are divided by `speed`; at infinity all is sent at once, in order.
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
        told: Callable[[Progress], None] | None = None,
    ) -> None:
        """`switches`: do the workload's own switches of policy too. `pauses`: pause and resume the kernel as it says; a
        pause that it does not end is ended when all is sent, and what it holds then is released.

        `longest_prompt`: prompts made up for rows of counts get at most so many tokens, to fit a small context.
        `change` may alter each task before it is submitted, such as its model. `told` is called after every change of
        the progress, which may be often.
        """
        self._kernel = kernel
        self._workload = workload
        self._speed = _checked(speed)
        self._switches = switches
        self._pauses = pauses
        self._holding = False
        self._held: set[int] = set()
        self._ids: dict[str, int] = {}
        self._longest = longest_prompt
        self._change = change
        self._told = told
        self._total = len(workload.tasks)
        self._ledger = LiveResults()
        self._position = 0.0
        self._begun = self._since = kernel.now()
        self._policy = kernel.policy.name
        self._switched: list[tuple[float, str]] = []
        self._playing = self._closed = False
        self._paused = self._stopped = False
        self._steps = 0
        self._events: list[_Counted] = []
        self._lost = False
        self._wake = asyncio.Event()

    # -- while it runs -------------------------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        ledger = self._ledger
        sent = len(ledger.fates)
        return Progress(self._now(), self._total, sent, ledger.started, ledger.done, ledger.failed, self._paused)

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        """Raises ValueError when it is not above 0."""
        value = _checked(value)
        self._settle()
        self._speed = value
        self._wake.set()

    def pause(self) -> None:
        """Send nothing more until `resume` or `step`; what was sent goes on."""
        self._settle()
        self._paused = True

    def resume(self) -> None:
        self._settle()
        self._paused = False
        self._wake.set()

    def step(self) -> None:
        """While paused: go to the next moment at which something happens, and do it."""
        self._steps += 1
        self._wake.set()

    def stop(self) -> None:
        """Send nothing more and wait for nothing more: `run()` returns. Tasks that were sent stay the kernel's."""
        self._stopped = True
        self._wake.set()

    def on_progress(self, told: Callable[[Progress], None] | None) -> None:
        """Have `told` called from now on, in place of the one before."""
        self._told = told

    @property
    def unended(self) -> list[int]:
        """The kernel's ids of the tasks that were sent and have not ended."""
        return [id_ for id_, fate in self._ledger.fates.items() if not fate.ended]

    @property
    def task_ids(self) -> list[int]:
        """The kernel's ids of the tasks sent so far, in order of the workload."""
        return list(self._ledger.fates)

    # -- running -------------------------------------------------------------------------------------------------------

    async def run(self) -> Run:
        """Play the workload, and return what was measured when every task sent has ended, or `stop()` was called.

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
                if not await self._until(moment[0].at):
                    break
                await self._send(moment)
            self._let_go()
            while not (self._stopped or self._closed or self._ledger.all_ended):
                await self._listen(None)
        finally:
            self._let_go()
            self._settle()
            self._playing = False
            subscription.close()
            await pump
            await self._fold()
        return self.result()

    async def _until(self, at: float) -> bool:
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
        """Do all of one moment: switches and pauses, then tasks, then what is done to tasks, and resuming."""
        rows = [item for item in moment if isinstance(item, TaskRow)]
        controls = [item for item in moment if isinstance(item, ControlRow)]
        for control in controls:
            self._before(control)
        if rows:
            await self._submit(rows)
        for control in controls:
            await self._after(control)

    def _before(self, control: ControlRow) -> None:
        if control.policy is not None and self._switches:
            before = self._kernel.policy.name
            self._kernel.switch_policy(control.policy)
            if before == self._kernel.policy.name:
                return
            self._switched.append((self._kernel.now() - self._begun, control.policy))
        elif control.op == "pause" and self._pauses:
            self._kernel.pause()
            self._holding = True

    async def _after(self, control: ControlRow) -> None:
        if control.op == "resume":
            self._go_on()
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

    def _let_go(self) -> None:
        """Undo what would keep tasks for ever: a pause of the workload's own, and what it holds."""
        self._go_on()
        while self._held:
            self._kernel.release(self._held.pop())

    def _go_on(self) -> None:
        if self._holding:
            self._holding = False
            self._kernel.resume()

    async def _submit(self, rows: list[TaskRow]) -> None:
        specs = [self._spec(row) for row in rows]
        submitted = self._kernel.now()
        for id_, row, spec in zip(await self._kernel.submit_many(specs), rows, specs, strict=True):
            name = row.id or f"t{len(self._ledger.fates) + 1}"
            self._ledger.fates[id_] = TaskOutcome(name, spec, submitted)
            self._ids[name] = id_
        await self._fold()
        self._tell()

    def _spec(self, row: TaskRow) -> TaskSpec:
        """The task to submit; one without text gets a prompt of its length, and a reply of its length at most."""
        spec = row.spec(self._workload.header.defaults, self._workload.name or None)
        if not spec.prompt.strip() and spec.query is None:
            options = spec.options
            if spec.output_tokens is not None and options.max_tokens is None:
                options = options.model_copy(update={"max_tokens": max(1, spec.output_tokens)})
            tokens = min(spec.input_tokens or 0, self._longest or MAX_TOKENS)
            spec = spec.model_copy(update={"prompt": synthetic_prompt(tokens), "options": options})
        return self._change(spec) if self._change else spec

    # -- listening -----------------------------------------------------------------------------------------------------

    async def _listen(self, seconds: float | None) -> None:
        """Wait for news, at most so long, and take them in."""
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
            self._lost |= subscription.lost
            news = [event for event in subscription.drain() if isinstance(event, _Counted)]
            self._events += news
            if news or self._lost or subscription.closed:
                self._wake.set()
            if subscription.closed:
                self._closed = True
                return

    async def _fold(self) -> None:
        """Take in the news of tasks that are ours. Those of tasks just being submitted are kept for later."""
        events, self._events = self._events, []
        if self._lost:
            self._lost = False
            await self._catch_up()
        ledger = self._ledger
        for event in events:
            if event.task not in ledger.fates:
                continue
            fate = ledger.fates[event.task]
            if isinstance(event, TaskStarted):
                ledger.start(fate, event.at, event.dispatch_order)
            elif isinstance(event, AttemptEnded):
                ledger.count_load(event)
            elif isinstance(event, ModelSwapped):
                ledger.count_swap()
            else:
                ledger.end(fate, event.final)
        if events:
            self._tell()

    async def _catch_up(self) -> None:
        """Events were lost: the kernel still knows what runs, and the history what ended."""
        snapshot, ledger = self._kernel.snapshot(), self._ledger
        alive = {event.task for event in snapshot if isinstance(event, TaskRecovered)}
        for event in snapshot:
            if isinstance(event, TaskStarted) and event.task in ledger.fates:
                ledger.start(ledger.fates[event.task], event.at, event.dispatch_order)
        for id_, fate in ledger.fates.items():
            if not fate.ended and id_ not in alive:
                try:
                    ledger.end(fate, await self._kernel.wait(id_))
                except KeyError:  # it ended so long ago that a history in memory has let it go
                    ledger.end(fate, None)

    def _tell(self) -> None:
        if self._told is not None:
            self._told(self.progress)

    # -- time ----------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        """Seconds of the workload that have gone by."""
        if self._paused or not self._playing or math.isinf(self._speed):
            return self._position
        return self._position + (self._kernel.now() - self._since) * self._speed

    def _settle(self) -> None:
        self._position, self._since = self._now(), self._kernel.now()

    # -- the result ----------------------------------------------------------------------------------------------------

    def result(self) -> Run:
        """What has been measured so far. `run()` returns it too; it is there when `run()` was cancelled."""
        return self._ledger.run(
            policy=self._policy,
            slots=sum(len(core.slots()) for core in self._kernel.cores),
            begun=self._begun,
            switches=tuple(self._switched),
            note=f"live at speed {'max' if math.isinf(self._speed) else format(self._speed, 'g')}",
        )


def _moments(items: Iterable[Item]) -> list[list[Item]]:
    """Items by moment: those at one time are one group."""
    groups: list[list[Item]] = []
    for item in items:
        if groups and groups[-1][0].at == item.at:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _checked(speed: float) -> float:
    if not speed > 0:
        raise ValueError("a speed is a number above 0")
    return speed
