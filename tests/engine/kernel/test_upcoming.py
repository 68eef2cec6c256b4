"""`Dispatcher.upcoming` against an oracle: dispatch for real, free the slots one after another, and note the order."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cores.port import CoreInfo, ModelInfo, SlotEvent
from engine.kernel.dispatcher import Dispatcher, SyscallId
from engine.kernel.slot_table import KernelSlot
from engine.scheduling import parse_policy
from engine.task import Task, TaskSpec
from tests.engine.kernel.helpers import GateCore
from tests.profiles import examples

POLICIES = (
    "fifo",
    "npps",
    "npps:ageing=3",
    "fifo:affinity=2",
    "npps:affinity=3",
    "fifo:affinity_s=5",
    "npps:ageing=3,affinity=2,affinity_s=5",
)


class Bench:
    """A dispatcher of its own with cores that run nothing: slots are freed by the test."""

    def __init__(self, policy: str) -> None:
        self.clock = 10.0
        self.dispatcher = Dispatcher(parse_policy(policy), publish=lambda event: None, now=lambda: self.clock)
        self.dispatcher.begin = lambda task, slot: self.granted((task, 0), slot)
        self.dispatcher.must_wait = lambda id_: None
        self.dispatcher.admits_tasks = self.dispatcher.admits_rounds = True
        self.models: dict[SyscallId, str | None] = {}
        self.order: list[tuple[int, SyscallId]] = []  # (number of the grant, id)
        self.waiting: dict[SyscallId, asyncio.Future[KernelSlot]] = {}
        self.fresh: list[tuple[SyscallId, KernelSlot]] = []

    def add_core(self, core: GateCore, *, one_model: bool, loaded: str = "") -> None:
        self.dispatcher.slots.add(core)
        models = tuple(ModelInfo(name, loaded=name in loaded) for name in core.models)
        self.dispatcher.slots.learn(CoreInfo(core.name, True, core.models[0], models, one_model=one_model), up=True)

    def add(self, number: int, priority: int, model: str | None, *, round_: int = 0) -> None:
        task = Task(number, TaskSpec(prompt="p", model=model), self.clock, priority)
        self.models[number, round_] = model
        if round_:
            self.waiting[number, round_] = self.dispatcher.acquire(task, round_, model)
        else:
            self.dispatcher.add(task)

    def granted(self, id_: SyscallId, slot: KernelSlot) -> None:
        self.order.append((slot.granted, id_))
        self.fresh.append((id_, slot))

    async def settle(self) -> None:
        """Let the dispatcher do all that it can, and the attempts begin in the order in which they got their slots."""
        for _ in range(3):
            await asyncio.sleep(0)
            for id_ in [id_ for id_, future in self.waiting.items() if future.done()]:
                self.granted(id_, self.waiting.pop(id_).result())
            fresh, self.fresh = sorted(self.fresh, key=lambda pair: pair[1].granted), []
            for id_, slot in fresh:
                self.dispatcher.use(slot, id_[0], self.models[id_])

    def busy(self) -> list[KernelSlot]:
        """Slots in use in the order in which they were given."""
        return sorted((slot for slot in self.dispatcher.slots if slot.busy), key=lambda slot: slot.granted)

    async def dispatched(self) -> list[SyscallId]:
        """Free one slot after another until nothing goes any more; returns the ids in order."""
        self.order.clear()
        self.dispatcher.kick()
        await self.settle()
        while busy := self.busy():
            self.dispatcher.release(busy[0])
            await self.settle()
        return [id_ for _, id_ in sorted(self.order)]


@dataclass
class State:
    seed: int
    policy: str
    cores: list[tuple[int, str, bool, str]]
    tasks: list[tuple[int, str | None, bool]]
    freed: int
    out: list[int]
    lost: int | None
    admits: tuple[bool, bool]


models = st.sampled_from(("a", "b", "c", None))
states = st.builds(
    State,
    seed=st.integers(0, 1000),
    policy=st.sampled_from(POLICIES),
    cores=st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(("abc", "ab", "c", "cb")), st.booleans(), st.sampled_from("abc")),
        min_size=1,
        max_size=3,
    ),
    tasks=st.lists(st.tuples(st.sampled_from((1, 5, 8)), models, st.booleans()), max_size=40),
    freed=st.integers(0, 12),
    out=st.lists(st.integers(0, 8), max_size=2),
    lost=st.none() | st.integers(0, 8),
    admits=st.sampled_from(((True, True), (True, True), (False, True), (False, False))),
)


async def prepare(state: State) -> Bench:
    """Bring a dispatcher into a state: some tasks served, some executing, slots down or lost."""
    rng, bench = random.Random(state.seed), Bench(state.policy)
    cores = [GateCore(slots, name=f"core{n}", models=own) for n, (slots, own, _, _) in enumerate(state.cores)]
    for core, (_, _, one_model, loaded) in zip(cores, state.cores, strict=True):
        bench.add_core(core, one_model=one_model, loaded=loaded)
    for number, (priority, model, later_round) in enumerate(state.tasks, 1):
        bench.add(number, priority, model, round_=2 if later_round else 0)
        if number == len(state.tasks) // 2:
            await bench.settle()
            for _ in range(state.freed):
                if busy := bench.busy():
                    bench.clock += rng.random()
                    bench.dispatcher.release(rng.choice(busy))
                    await bench.settle()
            bench.dispatcher.admits_tasks = bench.dispatcher.admits_rounds = False
    slots = list(bench.dispatcher.slots)
    for number in state.out:
        slot = slots[number % len(slots)]
        bench.dispatcher.slots.apply(slot.core, SlotEvent("down", slot.id))
    if state.lost is not None:
        bench.dispatcher.slots.quarantine(slots[state.lost % len(slots)], "lost")
    await bench.settle()
    bench.dispatcher.admits_tasks, bench.dispatcher.admits_rounds = state.admits
    return bench


@given(states, st.integers(0, 50))
@settings(max_examples=examples(300), deadline=None)
def test_it_is_the_order_of_dispatch(state: State, limit: int) -> None:
    async def check() -> None:
        bench = await prepare(state)
        dispatcher = bench.dispatcher
        ready = [(item.id, item.passes, item.passed_at) for item in dispatcher.ready()]
        upcoming = dispatcher.upcoming(1000)
        assert dispatcher.upcoming(limit) == upcoming[:limit]
        assert [(item.id, item.passes, item.passed_at) for item in dispatcher.ready()] == ready, "nothing changed"
        if state.admits == (False, False):  # the order after `resume`
            dispatcher.admits_tasks = dispatcher.admits_rounds = True
        assert await bench.dispatched() == upcoming

    asyncio.run(check())


async def test_affinity_loaded_models_and_a_drain_count() -> None:
    bench = Bench("fifo:affinity=2")
    bench.add_core(GateCore(1, models="ab"), one_model=True, loaded="b")
    for number, model in enumerate("abbba", 1):
        bench.add(number, 5, model)
    bench.add(9, 5, "a", round_=2)
    assert bench.dispatcher.upcoming(10) == [(2, 0), (3, 0), (1, 0), (5, 0), (9, 2), (4, 0)]
    assert bench.dispatcher.upcoming(2) == [(2, 0), (3, 0)]
    assert bench.dispatcher.upcoming(0) == []
    bench.dispatcher.admits_tasks = False
    assert bench.dispatcher.upcoming(10) == [(9, 2)], "a drain starts no task"
    bench.dispatcher.admits_rounds = False
    assert len(bench.dispatcher.upcoming(10)) == 6, "a pause is left out"


async def test_what_no_slot_can_take_is_left_out() -> None:
    bench = Bench("fifo")
    left, right = GateCore(1, name="left", models="a"), GateCore(1, name="right", models="b")
    for core in (left, right):
        bench.add_core(core, one_model=False)
    bench.add(1, 5, "a")
    bench.add(2, 5, "b")
    bench.dispatcher.slots.apply(left, SlotEvent("down"))
    assert bench.dispatcher.upcoming(10) == [(2, 0)]


@pytest.mark.parametrize("policy", ["npps", "npps:affinity=8"])
async def test_it_costs_little_in_a_long_queue(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(policy)
    bench.add_core(GateCore(4, models="abcd"), one_model=True)
    rng = random.Random(1)
    for number in range(1, 10_001):
        bench.add(number, rng.randrange(10), rng.choice("abcd"))
    bench.dispatcher.admits_tasks = bench.dispatcher.admits_rounds = False
    await bench.settle()
    read = 0
    admits = bench.dispatcher.admits

    def counted(item: object) -> bool:
        nonlocal read
        read += 1
        return True

    monkeypatch.setattr(bench.dispatcher, "admits", counted)
    bench.dispatcher.admits_tasks = bench.dispatcher.admits_rounds = True
    begun = time.perf_counter()
    assert len(bench.dispatcher.upcoming(50)) == 50
    assert time.perf_counter() - begun < 1.0, "about 2 ms on a quiet machine"
    assert read < 50 * 2 * 40 * 4, "steps times lanes, not tasks"
    monkeypatch.setattr(bench.dispatcher, "admits", admits)
