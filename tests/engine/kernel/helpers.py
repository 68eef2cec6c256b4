"""A core whose every attempt does what the test says next, and when: for the kernel's own tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from engine.agents.catalogue import AgentCatalogue, load_catalogue
from engine.agents.protocol import Agent, AgentContext, AgentResult
from engine.cores.port import (
    Attempt,
    Cancelled,
    Chunk,
    Core,
    CoreInfo,
    Done,
    Fault,
    FaultKind,
    ModelInfo,
    Outcome,
    Slot,
    SlotEvent,
    Usage,
)
from engine.errors import StoreError
from engine.events import AttemptEnded, Durable, Event
from engine.kernel import Kernel, KernelConfig, Subscription
from engine.scheduling import parse_policy
from engine.store import MemoryStore, Recovery, Store
from engine.task import Task, TaskSpec

T = TypeVar("T")

LIMIT_S = 60.0
"""Limit for waits that normally take milliseconds, sized for a machine ten times slower under load."""
QUICK = KernelConfig(backoff_s=0.001, backoff_max_s=0.002, stop_grace_s=0.05)

BROKEN = Fault(FaultKind.BROKEN_STREAM, "cut", retryable=True)
REFUSED = Fault(FaultKind.BAD_REQUEST, "no such option", retryable=False)


@dataclass(eq=False)
class Running:
    """One attempt under way: give it pieces with `say`, end it with `end`."""

    attempt: Attempt
    slot: Slot
    pieces: asyncio.Queue[Chunk | Outcome | Exception | None] = field(default_factory=asyncio.Queue)
    stopped: bool = False

    def say(self, text: str) -> None:
        self.pieces.put_nowait(Chunk("text", text))

    def end(self, outcome: Outcome | Exception | None = None, *, tokens: int = 0) -> None:
        done = Done("gate", Usage(tokens_in=2, tokens_out=tokens))
        self.pieces.put_nowait(outcome or done)

    def cut(self) -> None:
        self.pieces.put_nowait(None)


class GateCore:
    """`begun` gets each attempt as it starts. `stubborn`: it does not stop when it is cancelled.

    `loaded`: models that it reports as in memory, None if it reports nothing of that; `expires`: until when, Unix
    seconds. `inspections`: how often it was inspected.
    """

    def __init__(self, slots: int = 1, *, name: str = "gate", models: Sequence[str] = ("gate",)) -> None:
        self._name = name
        self._slots = [Slot(f"{name}/{n}", name) for n in range(slots)]
        self.models = models
        self.aliases: dict[str, tuple[str, ...]] = {}
        self.one_model = False
        self.loaded: set[str] | None = None
        self.expires: dict[str, float] = {}
        self.inspections = 0
        self.healthy = True
        self.begun: asyncio.Queue[Running] = asyncio.Queue()
        self.running: list[Running] = []
        self.most_at_once = 0
        self.stubborn = False
        self.let_go = asyncio.Event()
        self.says: asyncio.Queue[SlotEvent | None] = asyncio.Queue()

    @property
    def name(self) -> str:
        return self._name

    async def start(self) -> None:
        return

    async def stop(self, *, drain_s: float) -> None:
        self.says.put_nowait(None)

    def slots(self) -> Sequence[Slot]:
        return self._slots

    async def events(self) -> AsyncIterator[SlotEvent]:
        while (event := await self.says.get()) is not None:
            yield event

    async def cancel(self, attempt: Attempt) -> None:
        for running in self.running:
            if running.attempt == attempt:
                running.end(Cancelled())

    async def inspect(self) -> CoreInfo:
        self.inspections += 1
        models = tuple(
            ModelInfo(
                model,
                loaded=model in (self.loaded or ()),
                aliases=self.aliases.get(model, ()),
                expires_at=self.expires.get(model),
            )
            for model in self.models
            if self.healthy
        )
        return CoreInfo(self._name, self.healthy, self.models[0], models, one_model=self.one_model)

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        running = Running(attempt, slot)
        assert all(other.slot.id != slot.id for other in self.running), "two attempts on one slot"
        self.running.append(running)
        self.most_at_once = max(self.most_at_once, len(self.running))
        self.begun.put_nowait(running)
        try:
            while (piece := await running.pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if not isinstance(piece, Chunk):
                    return
        except asyncio.CancelledError:
            if self.stubborn:
                await self.let_go.wait()
            raise
        finally:
            running.stopped = True
            self.running.remove(running)

    async def next(self) -> Running:
        """The attempt that starts next."""
        async with limit(f"an attempt begins on core {self._name}"):
            return await self.begun.get()


class CodeAgent:
    """An agent given as a function."""

    description = "in a test"
    round_total = None

    def __init__(self, name: str, run: object) -> None:
        self.name = name
        self._run = run

    async def run(self, ctx: AgentContext) -> AgentResult:
        assert callable(self._run)
        result = await self._run(ctx)
        return {"agent_name": self.name, "result": result, "rounds": 0}


class WithCode:
    """The built-in agents, and some given as functions."""

    def __init__(self, *agents: Agent) -> None:
        self._catalogue: AgentCatalogue = load_catalogue(None)[0]
        self._own = {agent.name: agent for agent in agents}

    def get(self, name: str) -> Agent:
        return self._own.get(name) or self._catalogue.get(name)


def make_kernel(
    *cores: Core,
    policy: str = "fifo",
    agents: Sequence[Agent] = (),
    config: KernelConfig = QUICK,
    store: Store | None = None,
) -> Kernel:
    return Kernel(
        cores=cores,
        store=store or MemoryStore(),
        agents=WithCode(*agents),
        policy=parse_policy(policy),
        config=config,
    )


@asynccontextmanager
async def limit(what: str) -> AsyncIterator[None]:
    """Fail with a line that names `what` was waited for, if the body takes too long."""
    try:
        async with asyncio.timeout(LIMIT_S):
            yield
    except TimeoutError:
        pytest.fail(f"waited {LIMIT_S:g} s in vain: {what}")


async def within(awaitable: Awaitable[T]) -> T:
    """Await it, but not for ever; a failure names the coroutine."""
    running = awaitable.get_coro() if isinstance(awaitable, asyncio.Task) else awaitable
    async with limit(getattr(running, "__qualname__", repr(running))):
        return await awaitable


async def until(condition: Callable[[], object], what: str) -> None:
    """Let the loop run until the condition holds."""
    async with limit(what):
        while not condition():
            await asyncio.sleep(0)


async def seen(subscription: Subscription, kind: type[Event], count: int = 1) -> list[Event]:
    """Read events until `count` of a kind have come; returns those."""
    found: list[Event] = []
    async with limit(f"{count} × {kind.__name__}"):
        while len(found) < count:
            event = await anext(subscription)
            if isinstance(event, kind):
                found.append(event)
    return found


class Trace(MemoryStore):
    """Records its events in order; commits wait while `hold` is set, and fail with `fails`."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Durable] = []
        self.left: tuple[Task, ...] = ()
        self.free = asyncio.Event()
        self.free.set()
        self.fails: StoreError | None = None
        self.report: Callable[[str | None], None] = lambda error: None

    async def recover(self, *, max_interruptions: int) -> Recovery:
        return Recovery(self.left, frozenset(task.id for task in self.left if task.interruptions))

    def append(self, event: Durable) -> None:
        self.events.append(event)

    async def commit(self, events: Sequence[Durable]) -> None:
        await self.free.wait()
        if self.fails is not None:
            raise self.fails
        self.events += events

    def on_write_error(self, listener: Callable[[str | None], None]) -> None:
        self.report = listener

    def of(self, kind: type[Durable]) -> list[Durable]:
        return [event for event in self.events if isinstance(event, kind)]

    def attempts(self) -> list[AttemptEnded]:
        return [event for event in self.events if isinstance(event, AttemptEnded)]


async def begin(kernel: Kernel, core: GateCore, prompt: str = "p", agent: str = "chat") -> tuple[int, Running]:
    await kernel.start()
    task = await kernel.submit(TaskSpec(prompt=prompt, agent=agent))
    return task, await core.next()


def idle(kernel: Kernel) -> bool:
    return all(slot.free for slot in kernel.slots) and kernel.running_count == 0
