"""The number of an Ollama server's slots: configured, from the environment, or learnt from its streams."""

from __future__ import annotations

import asyncio

import pytest

from engine.cores.ollama.core import OllamaCore
from engine.cores.ollama.records import OllamaRecord
from engine.cores.ollama.slot_learning import PATIENCE_S, SlotLearner, parallel_in
from engine.cores.port import SlotState
from engine.events import SlotChanged
from engine.kernel import Kernel
from engine.task import TaskSpec, TaskState
from tests.engine.cores.helpers import Final, Request, Say, Script, Status, Wait, say
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.test_core import MODEL, QUICK
from tests.engine.kernel.helpers import make_kernel
from tests.waiting import PATIENCE_S as PATIENT


class Streams:
    """A learner, and streams whose records are made at given seconds of the server's clock."""

    def __init__(self, most: int = 4) -> None:
        self.learner = SlotLearner(most)
        self.now = 0.0

    def begin(self, *names: str, model: str = "m") -> None:
        for name in names:
            self.learner.begin(name, model, self.now)

    def token(self, name: str, at: float) -> bool:
        return self.learner.record(name, self._record(at), self.now)

    def end(self, name: str, at: float, *, waited: float = 0.0, reported: bool = True) -> bool:
        statistics = {"total_duration": int((waited + 3) * 1e9), "eval_duration": int(3e9)} if reported else {}
        last = self._record(at, done=True, **statistics)
        self.learner.record(name, last, self.now)
        return self.learner.end(name, last, self.now)

    @staticmethod
    def _record(at: float, **more: object) -> OllamaRecord:
        return OllamaRecord.model_validate({"created_at": f"2026-11-22T15:21:{at:012.9f}Z", "response": "x", **more})


class TestProof:
    def test_one_is_proven_and_one_is_on_trial(self) -> None:
        learner = SlotLearner()
        assert (learner.proven, learner.offered, learner.settled) == (1, 2, False)

    def test_a_first_token_between_two_of_another_proves_a_slot(self) -> None:
        here = Streams()
        here.begin("a", "b")
        assert not here.token("a", 1.0)
        assert not here.token("b", 1.5)
        assert here.token("a", 2.0)
        assert (here.learner.proven, here.learner.offered) == (2, 3)

    def test_it_is_the_servers_clock_that_counts(self) -> None:
        """All of a's stream lay in a buffer of ours when b's first token was read."""
        here = Streams()
        here.begin("a", "b")
        here.token("a", 1.0)
        here.token("b", 9.0)
        assert not here.token("a", 2.0)
        assert not here.token("a", 3.0)
        assert here.learner.proven == 1

    def test_whichever_is_served_first_proves_nothing(self) -> None:
        here = Streams()
        here.begin("a", "b")
        here.token("b", 1.0)
        here.token("b", 2.0)
        here.end("b", 2.5)
        here.token("a", 3.0)
        here.token("a", 4.0)
        assert not here.end("a", 5.0)
        assert (here.learner.proven, here.learner.decided) == (1, False)

    def test_streams_of_two_models_prove_nothing(self) -> None:
        here = Streams()
        here.begin("a")
        here.begin("b", model="n")
        for at in (1.0, 2.0, 3.0):
            here.token("a", at)
            here.token("b", at + 0.5)
        assert here.learner.proven == 1

    def test_two_at_a_time_are_not_three(self) -> None:
        here = Streams()
        here.begin("a", "b", "c")
        for at in (1.0, 2.0):
            here.token("a", at)
            here.token("b", at + 0.5)
        here.end("a", 3.0)
        for at in (4.0, 5.0):
            here.token("b", at)
            here.token("c", at + 0.5)
        assert here.learner.proven == 2

    def test_it_ends_at_the_most(self) -> None:
        here = Streams(most=3)
        here.begin("a", "b", "c", "d")
        for at in (1.0, 2.0):
            for shift, name in enumerate("abcd"):
                here.token(name, at + shift / 10)
        assert (here.learner.proven, here.learner.offered, here.learner.settled) == (3, 3, True)

    def test_a_server_without_a_clock_teaches_nothing(self) -> None:
        learner = SlotLearner()
        learner.begin("a", "m", 0.0)
        learner.begin("b", "m", 0.0)
        for name in "abab":
            assert not learner.record(name, OllamaRecord(response="x", created_at="yesterday"), 1.0)
        assert learner.offered == 2


class TestRefutation:
    def one_after_another(self, *, waited: float, reported: bool = True) -> Streams:
        here = Streams()
        here.begin("a", "b")
        here.token("a", 1.0)
        here.now = 10.0
        here.end("a", 10.0)
        here.token("b", 11.0)
        here.now = 20.0
        here.end("b", 20.0, waited=waited, reported=reported)
        return here

    def test_a_request_that_waited_for_another_refutes_the_trial(self) -> None:
        learner = self.one_after_another(waited=9.0).learner
        assert (learner.proven, learner.offered, learner.settled) == (1, 1, True)
        assert learner.why == "the server runs 1 at a time: a request waited until another had ended"

    def test_one_that_was_only_slow_to_begin_does_not(self) -> None:
        """The other one happened to end while it read a long prompt."""
        learner = self.one_after_another(waited=0.2).learner
        assert (learner.offered, learner.settled) == (2, False)

    def test_without_figures_the_order_has_to_do(self) -> None:
        assert self.one_after_another(waited=0.0, reported=False).learner.settled

    def test_two_at_a_time_are_found(self) -> None:
        here = Streams()
        here.begin("a", "b")
        for at in (1.0, 2.0):
            here.token("a", at)
            here.token("b", at + 0.5)
        here.begin("c")
        here.now = 8.0
        here.end("a", 8.0)
        here.token("c", 9.0)
        here.token("b", 9.5)
        here.now = 12.0
        assert here.end("c", 12.0, waited=8.0)
        assert (here.learner.proven, here.learner.offered) == (2, 2)
        assert here.learner.why.startswith("the server runs 2 at a time")

    def test_one_that_is_given_up_after_a_long_wait_refutes_it(self) -> None:
        here = Streams()
        here.begin("a", "b")
        here.now = PATIENCE_S - 1
        here.token("a", 1.0)
        assert not here.learner.end("b", None, here.now)
        here.begin("b")
        here.now += PATIENCE_S + 1
        here.token("a", 2.0)
        assert here.learner.end("b", None, here.now)
        assert here.learner.offered == 1

    def test_a_full_server_shrinks_it(self) -> None:
        here = Streams()
        here.begin("a", "b")
        assert here.learner.refused("b", 1.0)
        assert (here.learner.offered, here.learner.why) == (1, "the server was full with 1 at a time")

    def test_what_is_proven_stays_when_it_is_full(self) -> None:
        here = Streams()
        here.begin("a", "b")
        for at in (1.0, 2.0):
            here.token("a", at)
            here.token("b", at + 0.5)
        here.end("b", 3.0)
        here.begin("c")
        assert not here.learner.refused("c", 4.0)  # full, with one of ours where two were seen
        here.begin("d", "e")
        assert here.learner.refused("e", 5.0)
        assert (here.learner.proven, here.learner.offered) == (2, 2)

    def test_what_has_ended_is_not_kept_for_ever(self) -> None:
        here = Streams()
        here.begin("0")
        for number in range(1, 200):
            here.begin(str(number))
            here.end(str(number - 1), float(number) / 10)
        assert len(here.learner._past) <= 16
        (left,) = here.learner._streams.values()
        assert all(not other.ahead for other in left.ahead)

    def test_full_of_others_requests_it_teaches_nothing(self) -> None:
        here = Streams()
        here.begin("a")
        assert not here.learner.refused("a", 1.0)
        assert here.learner.offered == 2

    def test_another_server_is_learnt_anew(self) -> None:
        here = self.one_after_another(waited=9.0)
        assert here.learner.forget()
        assert not here.learner.forget()
        assert here.learner.offered == 2


@pytest.mark.parametrize(
    ("value", "reported"),
    [(None, None), ("", None), ("0", None), ("-1", None), ("x", None), (" 3 ", 3), ("9" * 9, 256)],
)
def test_what_the_variable_says(value: str | None, reported: int | None) -> None:
    assert parallel_in(value) == reported


@pytest.mark.parametrize(
    ("address", "slots", "count", "source"),
    [
        ("127.0.0.1:1", None, 3, "OLLAMA_NUM_PARALLEL"),
        ("localhost:1", None, 3, "OLLAMA_NUM_PARALLEL"),
        ("127.0.0.1:1", 2, 2, "configured"),
        ("gpu-box", None, 4, "being learnt"),
    ],
)
async def test_where_the_number_is_from(address: str, slots: int | None, count: int, source: str) -> None:
    core = OllamaCore(address, slots=slots, environ={"OLLAMA_NUM_PARALLEL": "3"}, look_s=0.01)
    assert len(core.slots()) == count
    assert (await core.inspect()).slots_from == source
    await core.stop(drain_s=0)


# Over a real server on the wire, with a kernel


def states(kernel: Kernel) -> list[str]:
    return [place.slot.state.value for place in kernel.slots]


async def until(kernel: Kernel, *wanted: str) -> None:
    """Wait until the kernel's slots stand so."""
    events = kernel.subscribe()
    async with asyncio.timeout(PATIENT):
        while states(kernel) != list(wanted):
            await events.wait()
            events.drain()
    events.close()


async def test_a_server_that_runs_several_is_found_out() -> None:
    async with FakeOllama(MODEL) as fake:
        gates = [Wait() for _ in range(8)]
        left = iter(gates)
        fake.usual = lambda _request: (Say("one"), next(left), Say(" two"), Final())
        kernel = make_kernel(OllamaCore(fake.host))
        await kernel.start()
        assert states(kernel) == ["up", "up", "unproven", "unproven"]
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(8)])
        await fake.until(lambda server: server.active == 2)
        gates[0].event.set()  # a token of the first one after the first of the second
        await until(kernel, "up", "up", "up", "unproven")
        for gate in gates:
            gate.event.set()
        async with asyncio.timeout(PATIENT):
            ended = [await kernel.wait(task) for task in tasks]
        info = (await kernel.inspect())[0]
        await kernel.stop()
    assert {task.result for task in ended} == {"one two"}
    assert info.slots_from in ("being learnt", "learnt")
    assert 2 <= fake.most_active <= 4


async def test_a_server_that_runs_one_is_found_out_and_given_one() -> None:
    async with FakeOllama(MODEL) as fake:
        fake.parallel = 1
        first = Wait()
        fake.scripts += [(Say("one"), first, Say(" two"), Final()), say("later", total_duration=3_600_000_000_000)]
        kernel = make_kernel(OllamaCore(fake.host))
        await kernel.start()
        events = kernel.subscribe()
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(6)])
        await fake.until(lambda server: server.active == 2)
        first.event.set()
        await until(kernel, "up", "unproven", "unproven", "unproven")
        fake.most_active = 0
        async with asyncio.timeout(PATIENT):
            ended = [await kernel.wait(task) for task in tasks]
        reasons = [event.reason for event in events.drain() if isinstance(event, SlotChanged)]
        info = (await kernel.inspect())[0]
        await kernel.stop()
    assert {task.state for task in ended} == {TaskState.DONE}
    assert "the server runs 1 at a time: a request waited until another had ended" in reasons
    assert (info.slots_from, fake.most_active) == ("learnt", 1)


async def test_a_full_server_is_left_alone_and_its_task_stays_ready() -> None:
    async with FakeOllama(MODEL) as fake:
        gate = Wait()

        def usual(request: Request) -> Script:
            full = any(each is request for each in fake.chats()[1:2])  # one of two that come at once
            return Status(503, "server busy, please try again") if full else (Say("one"), gate, Final())

        fake.usual = usual
        kernel = make_kernel(OllamaCore(fake.host, backoff=QUICK))
        events = kernel.subscribe()
        await kernel.start()
        tasks = await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(4)])
        await until(kernel, "up", "unproven", "unproven", "unproven")
        changes = [event for event in events.drain() if isinstance(event, SlotChanged)]
        assert len(fake.chats()) == 2  # nothing else was thrown at it
        gate.event.set()
        async with asyncio.timeout(PATIENT):
            ended = [await kernel.wait(task) for task in tasks]
        await kernel.stop()
    assert {task.state for task in ended} == {TaskState.DONE}
    assert sorted(task.attempts for task in ended) == [1, 1, 1, 2]
    suspect = [event for event in changes if event.state is SlotState.SUSPECT]
    assert suspect
    assert "server busy, please try again (Ollama at" in suspect[0].reason


async def test_a_server_that_comes_back_is_learnt_anew() -> None:
    async with FakeOllama(MODEL) as fake:
        fake.parallel = 1
        core = OllamaCore(fake.host, backoff=QUICK)
        fake.scripts += [say("one", " two"), say("later", total_duration=3_600_000_000_000)]
        kernel = make_kernel(core)
        await kernel.start()
        await kernel.submit_many([TaskSpec(prompt=f"task {n}") for n in range(2)])
        await until(kernel, "up", "unproven", "unproven", "unproven")
        await fake.stop()
        task = await kernel.submit(TaskSpec(prompt="late"))
        await until(kernel, "down", "down", "unproven", "unproven")
        await fake.start()
        await until(kernel, "up", "up", "unproven", "unproven")
        async with asyncio.timeout(PATIENT):
            assert (await kernel.wait(task)).state is TaskState.DONE
        await kernel.stop()
