"""The state of a server's slots: answers of probes, and outcomes that are newer than them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.cores.port import SlotState
from engine.cores.slot_health import SlotHealth
from tests.waiting import PATIENCE_S


class Server:
    """Answers a probe when the test lets it; `asked` has one for each probe that waits."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[asyncio.Future[str | None]] = asyncio.Queue()

    async def probe(self) -> str | None:
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(answer)
        return await answer

    async def answer(self, reason: str | None) -> None:
        """Answer the next probe, and wait until that has been heard."""
        async with asyncio.timeout(PATIENCE_S):
            (await self.asked.get()).set_result(reason)
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest_asyncio.fixture
async def health(server: Server) -> AsyncIterator[SlotHealth]:
    health = SlotHealth("lab", 1, server.probe, backoff=(0.001, 0.001))
    health.open()
    yield health
    await health.close()


async def until(health: SlotHealth, state: SlotState) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while health.state is not state:
            await asyncio.sleep(0)


@pytest.mark.parametrize("kind", ["suspect", "down"])
async def test_a_failure_in_a_rest_does_not_end_it(server: Server, health: SlotHealth, kind: str) -> None:
    health.rest(3_600, "it is busy")
    health.fail("down" if kind == "down" else "suspect", "an answer broke off")
    await server.answer(None)
    (slot,) = health.slots()
    assert (slot.state, slot.reason) == (SlotState.SUSPECT, "it is busy")


async def test_the_end_of_the_rest_does(server: Server, health: SlotHealth) -> None:
    health.rest(0.02, "it is busy")
    health.fail("suspect", "an answer broke off")
    await server.answer(None)
    await until(health, SlotState.UP)
    assert server.asked.empty()


async def test_a_server_that_is_gone_at_the_end_of_a_rest_is_down(server: Server, health: SlotHealth) -> None:
    health.rest(0, "it is busy")
    health.fail("suspect", "an answer broke off")
    await server.answer("nobody is there")
    await until(health, SlotState.DOWN)
    await server.answer(None)
    await until(health, SlotState.UP)


async def test_an_answer_from_before_a_failure_counts_for_nothing(server: Server, health: SlotHealth) -> None:
    health.fail("suspect", "an answer broke off")
    async with asyncio.timeout(PATIENCE_S):
        sent_before = await server.asked.get()
    health.fail("down", "nobody is there")
    sent_before.set_result(None)
    async with asyncio.timeout(PATIENCE_S):
        sent_after = await server.asked.get()
    assert health.state is SlotState.DOWN
    sent_after.set_result(None)
    await until(health, SlotState.UP)


async def test_a_bad_answer_from_before_a_good_one_counts_for_nothing(server: Server, health: SlotHealth) -> None:
    health.fail("suspect", "an answer broke off")
    async with asyncio.timeout(PATIENCE_S):
        sent_before = await server.asked.get()
    health.up()
    sent_before.set_result("it did not answer in time")
    for _ in range(10):
        await asyncio.sleep(0)
    assert health.state is SlotState.UP
    assert server.asked.empty()
