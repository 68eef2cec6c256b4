"""One source of truth: a live kernel and a virtual run of the same tasks choose the same order, slots and swaps."""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.agents.catalogue import load_catalogue
from engine.cores.port import Attempt, Chunk, Outcome, Slot
from engine.cores.scripted import ScriptedCore, ScriptedOptions
from engine.events import AttemptStarted
from engine.kernel import Kernel
from engine.replay.live import LiveReplay
from engine.replay.simulate import Capacity, VirtualCore, simulate
from engine.replay.tables import Run, TaskColumns
from engine.scheduling import parse_policy
from engine.store import MemoryStore
from engine.testing.virtual_clock import run_virtual
from engine.workloads.format import TaskRow, WorkloadHeader
from engine.workloads.reader import Workload
from tests.profiles import examples

POLICIES = (
    "fifo",
    "npps",
    "npps:ageing=3",
    "fifo:affinity=1",
    "fifo:affinity=3",
    "npps:affinity=2",
    "npps:ageing=3,affinity=2",
    "fifo:affinity_s=2.5",
    "npps:affinity=5,affinity_s=4",
)
AGENTS = ("chat", "chat", "translate", "story_teller")
CATALOGUE = load_catalogue(None)[0]
MODELS = "abc"


@dataclass(frozen=True)
class Work:
    """One task: arrival, priority, model, agent, and the seconds that each of its rounds executes."""

    at: float
    priority: int
    model: str | None
    agent: str
    seconds: float


@dataclass
class Case:
    tasks: Sequence[Work]
    cores: Sequence[VirtualCore]
    policy: str
    placements: list[tuple[int, str]] = field(default_factory=list)


class TimedCore(ScriptedCore):
    """A scripted core on which each task's rounds take the seconds that the case says."""

    def __init__(self, core: VirtualCore, seconds: Sequence[float]) -> None:
        self._seconds = seconds
        options = ScriptedOptions(
            slots=core.slots,
            models="|".join(core.models),
            load=core.default_load_s,
            memory=core.memory or len(core.models),
            tokens=1,
        )
        super().__init__(options, name=core.name)

    async def run(self, attempt: Attempt, slot: Slot) -> AsyncIterator[Chunk | Outcome]:
        self.options = self.options.model_copy(update={"ttft": self._seconds[attempt.task - 1]})
        async for piece in super().run(attempt, slot):
            yield piece


async def live(case: Case) -> tuple[Run, list[tuple[int, str]]]:
    """Run the case in a real kernel on scripted cores; returns the run and the slot of each round, in order."""
    cores = [TimedCore(core, [work.seconds for work in case.tasks]) for core in case.cores]
    clock = asyncio.get_running_loop().time
    kernel = Kernel(cores=cores, store=MemoryStore(), agents=CATALOGUE, policy=parse_policy(case.policy), now=clock)
    rows = tuple(
        TaskRow(id=f"t{n}", at=work.at, agent=work.agent, prompt="p", priority=work.priority, model=work.model)
        for n, work in enumerate(case.tasks, 1)
    )
    subscription = kernel.subscribe()
    await kernel.start()
    run = await LiveReplay(kernel, Workload(WorkloadHeader(), rows, "case.jsonl")).run()
    await kernel.stop()
    started = [event for event in subscription.drain() if isinstance(event, AttemptStarted)]
    return run, [(event.task - 1, event.slot) for event in started]


def virtual(case: Case) -> tuple[Run, list[tuple[int, str]]]:
    """The same in virtual time."""
    rounds = [CATALOGUE.get(work.agent).round_total or 1 for work in case.tasks]
    tasks = TaskColumns(
        at=array("d", [work.at for work in case.tasks]),
        priority=array("b", [work.priority for work in case.tasks]),
        service=array("d", [work.seconds * n for work, n in zip(case.tasks, rounds, strict=True)]),
        rounds=array("H", rounds),
        model=array("L", [MODELS.index(work.model) + 1 if work.model else 0 for work in case.tasks]),
        models=["", *MODELS],
    )
    placements: list[tuple[int, str]] = []
    run = simulate(tasks, parse_policy(case.policy), Capacity(cores=case.cores), placements=placements)
    return run, placements


def assert_same(case: Case) -> tuple[Run, Run]:
    """Run a case both ways and compare; returns the live run and the virtual one."""
    (one, live_slots), (other, virtual_slots) = run_virtual(live(case)), virtual(case)
    assert live_slots == virtual_slots
    assert list(one.order) == list(other.order)
    assert one.swaps == other.swaps
    assert list(one.start) == pytest.approx(list(other.start), abs=1e-6)
    assert list(one.end) == pytest.approx(list(other.end), abs=1e-6)
    assert one.load_s == pytest.approx(other.load_s, abs=1e-6)
    return one, other


def scripted(name: str, slots: int, models: str, load: float, memory: int | None) -> VirtualCore:
    """A core as a scripted one is: without a load time all its models are loaded."""
    return VirtualCore(
        slots,
        default_load_s=load,
        memory=memory if load else None,
        models=tuple(models),
        default_model=models[0],
        name=name,
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rng = random.Random(draw(st.integers(0, 1_000_000)))  # times that never coincide, unless they are meant to
    cores = [
        scripted(
            f"core{number}",
            draw(st.integers(1, 3)),
            "".join(draw(st.lists(st.sampled_from(MODELS), min_size=1, max_size=3, unique=True))),
            draw(st.sampled_from((0.0, *[rng.uniform(0.1, 4)] * 3))),
            draw(st.sampled_from((1, 1, 1, None))),
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    known = sorted({model for core in cores for model in core.models})
    arrivals = sorted(draw(st.lists(st.sampled_from((0.0, 0.0, 2.0, 9.0)), min_size=4, max_size=20)))
    apart = draw(st.booleans())
    tasks = [
        Work(
            at + (rng.random() if apart else 0.0),
            draw(st.sampled_from((1, 5, 8))),
            draw(st.sampled_from([*known, *known, None])),
            draw(st.sampled_from(AGENTS)),
            rng.uniform(0.1, 4),
        )
        for at in arrivals
    ]
    return Case(sorted(tasks, key=lambda work: work.at), cores, draw(st.sampled_from(POLICIES)))


@given(cases())
@settings(max_examples=examples(150), deadline=None)
def test_order_slots_and_swaps_are_the_same(case: Case) -> None:
    assert_same(case)


def alternating(*cores: VirtualCore) -> Case:
    """Four tasks of models a b a b at once, 20 tokens each at 20 tokens and 0.05 s to the first one."""
    return Case([Work(0.0, 5, model, "chat", 0.95) for model in "abab"], cores, "fifo")


def test_a_core_of_two_slots_holds_one_model_at_a_time() -> None:
    one, other = assert_same(alternating(scripted("gpu", 2, "ab", 2.0, 1)))
    assert max(one.end) == pytest.approx(11.8, abs=1e-6) == pytest.approx(max(other.end))
    assert one.swaps == other.swaps == 3


def test_the_short_form_is_such_a_core() -> None:
    case = alternating(scripted("gpu", 2, "ab", 2.0, 1))
    tasks = TaskColumns(
        array("d", [0.0] * 4), array("b", [5] * 4), array("d", [0.95] * 4), model=array("L", [1, 2, 1, 2])
    )
    tasks.models = ["", "a", "b"]
    run = simulate(tasks, parse_policy(case.policy), Capacity(2, default_load_s=2.0))
    assert max(run.end) == pytest.approx(11.8)
    assert (run.swaps, run.load_s) == (3, 8.0)


def test_a_core_with_memory_for_both_swaps_nothing() -> None:
    one, other = assert_same(alternating(scripted("gpu", 2, "ab", 2.0, None)))
    assert one.swaps == other.swaps == 0
    assert max(one.end) == pytest.approx(3.9, abs=1e-6)


def test_two_cores_of_one_slot_each_keep_their_model() -> None:
    cores = [scripted(name, 1, "ab", 2.0, 1) for name in ("left", "right")]
    case = alternating(*cores)
    case.tasks = [
        Work(0.0, 5, model, "chat", seconds) for model, seconds in zip("abab", (0.9, 1.0, 1.1, 1.2), strict=True)
    ]
    one, other = assert_same(case)
    assert one.swaps == other.swaps == 0
