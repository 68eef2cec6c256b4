"""The view state: everything that the console draws, as plain data. Only the reducer changes it.

Nothing here knows the kernel or Textual, so tests, replay and the live console fold the same events into the same
state. Times are Unix seconds on the kernel's clock, durations are seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from aios_tui.console.state.ready_order import ReadyOrder
from engine.cores.port import CoreInfo, SlotState
from engine.events import Notice, SwapPlanned
from engine.sanitise import one_line
from engine.task import KernelState, TaskRecord, TaskSpec, TaskState
from engine.telemetry.meters import Meters

MAX_RESULTS = 500
MAX_TAIL = 8_000
"""Least number of characters kept of a stream; a screen shows only its end."""


@dataclass(slots=True, eq=False)
class TaskView:
    """A task that has not ended.

    Attributes:
        arrival: time of submission in Unix seconds; ageing policies rank by it.
        waiting: since when each ready syscall is ready, by round; round 0 for a queued task. An agent may have several.
        executing: number of running attempts.
        retry_at: time of the automatic retry after a failed attempt.
        interrupted: an earlier run of the program died while this task ran.
        held: not dispatched before it is released; listed after the ready tasks.
    """

    id: int
    spec: TaskSpec
    priority: int
    arrival: float
    waiting: dict[int, float]
    state: TaskState = TaskState.QUEUED
    started_at: float | None = None
    rounds: int = 0
    round_total: int | None = None
    attempts: int = 0
    retry_at: float | None = None
    last_error: str | None = None
    interrupted: bool = False
    held: bool = False
    retry_of: int | None = None
    executing: int = 0
    _preview: str | None = None

    @property
    def ready_since(self) -> float | None:
        """The earliest time at which a waiting syscall became ready; None while none waits."""
        return min(self.waiting.values()) if self.waiting else None

    @property
    def agent(self) -> str:
        """The agent's name without its author."""
        return self.spec.agent.rpartition("/")[2]

    @property
    def preview(self) -> str:
        """The start of the prompt, sanitised, on one line."""
        if self._preview is None:
            spec = self.spec
            self._preview = one_line(spec.prompt, 300) or f"({spec.input_tokens} tokens of a recorded workload)"
        return self._preview


@dataclass(slots=True, eq=False)
class SlotView:
    """A slot and the attempt on it.

    Attributes:
        id: the slot's id, such as `ollama/0`.
        task: None while the slot is idle.
        round, attempt: counted from 1.
        ttft_s: seconds from dispatch to the first token.
        text, thinking: the end of the stream, sanitised, at most twice MAX_TAIL characters each.
        dropped, thinking_dropped: number of characters before that.
        talking: True once text has begun, so thinking is over.
        read, to_read: prompt tokens read so far, and in all; 0, 0 if the core doesn't report it.
        version: changes whenever the slot does.
    """

    id: str
    core: str
    state: SlotState = SlotState.UP
    reason: str = ""
    task: int | None = None
    agent: str = ""
    round: int = 0
    round_total: int | None = None
    attempt: int = 0
    model: str | None = None
    started_at: float = 0.0
    first_token_at: float | None = None
    last_token_at: float | None = None
    tokens: int = 0
    text: str = ""
    dropped: int = 0
    thinking: str = ""
    thinking_dropped: int = 0
    talking: bool = False
    read: int = 0
    to_read: int = 0
    version: int = 0

    @property
    def ttft_s(self) -> float | None:
        return None if self.first_token_at is None else self.first_token_at - self.started_at

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens after the first over the time since it; None before the second token."""
        if self.first_token_at is None or self.last_token_at is None or self.tokens < 2:
            return None
        elapsed = self.last_token_at - self.first_token_at
        return (self.tokens - 1) / elapsed if elapsed > 0 else None


class ResultView(TaskRecord):
    """An ended task. `text`: its result, error or state, sanitised; `line`: the start of that, on one line."""

    ended_at: float
    text: str
    line: str


@dataclass(slots=True)
class Counts:
    """Ended tasks of this history, by outcome."""

    done: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class Changes:
    """Changes since the last frame; each pane decides by them whether it has to draw.

    `tasks` are the ids of all tasks with an event; `notices` are the new ones.
    """

    header: bool = False
    queue: bool = False
    slots: bool = False
    cores: bool = False
    results: bool = False
    clock: bool = False
    everything: bool = False
    tasks: set[int] = field(default_factory=set)
    notices: list[Notice] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self != Changes()


@dataclass(slots=True)
class ViewState:
    """Everything the console shows.

    Attributes:
        now: the time for clocks; set by the bridge in each frame, so that no widget reads a clock.
        kernel: None while the core starts.
        trouble: one line with the reason why there is no kernel, when the start failed.
        tasks: tasks that have not ended, by id.
        order: those whose next syscall is ready, in the order in which they will run.
        slots: by slot id, in the order in which they were announced.
        results: newest first, bounded; changed only by `add_result` and `set_results`.
        why: reason for the choice of the core.
        meters: figures of cores and slots over the last minutes.
        swaps: the model that a core will load next, by core, where known.
    """

    now: float = 0.0
    kernel: KernelState | None = None
    trouble: str | None = None
    policy: str = "npps"
    why: str = ""
    tasks: dict[int, TaskView] = field(default_factory=dict)
    order: ReadyOrder = field(default_factory=ReadyOrder)
    slots: dict[str, SlotView] = field(default_factory=dict)
    cores: dict[str, CoreInfo] = field(default_factory=dict)
    results: deque[ResultView] = field(default_factory=deque)
    counts: Counts = field(default_factory=Counts)
    meters: Meters = field(default_factory=Meters)
    swaps: dict[str, SwapPlanned] = field(default_factory=dict)
    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=100))
    running: int = 0
    changes: Changes = field(default_factory=Changes)
    _results_by_id: dict[int, ResultView] = field(default_factory=dict)

    @property
    def queued(self) -> int:
        """The number of tasks that have not started."""
        return len(self.tasks) - self.running

    @property
    def shown_slots(self) -> list[SlotView]:
        """Slots that are offered; one that its server has not proven to have is left out until a task runs there."""
        return [slot for slot in self.slots.values() if slot.state is not SlotState.UNPROVEN or slot.task is not None]

    def take_changes(self) -> Changes:
        """Return the changes since the last call."""
        taken, self.changes = self.changes, Changes()
        return taken

    def result(self, task: int) -> ResultView | None:
        """Return an ended task by id, if it is still listed."""
        return self._results_by_id.get(task)

    def add_result(self, result: ResultView) -> None:
        """Add the newest result on top; drop the oldest when there are too many."""
        if len(self.results) == MAX_RESULTS:
            del self._results_by_id[self.results.pop().id]
        self.results.appendleft(result)
        self._results_by_id[result.id] = result

    def set_results(self, results: Iterable[ResultView]) -> None:
        """Merge `results` with the listed ones; new ones win."""
        merged = self._results_by_id | {result.id: result for result in results}
        newest = sorted(merged.values(), key=lambda result: (result.ended_at, result.id), reverse=True)[:MAX_RESULTS]
        self.results = deque(newest)
        self._results_by_id = {result.id: result for result in newest}
        self.changes.results = True
