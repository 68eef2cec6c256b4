"""Ollama's key is not said again by what the core says, when a server says it back."""

from __future__ import annotations

import asyncio

import pytest

from engine.cores.ollama.core import OllamaCore
from engine.cores.port import SlotState
from engine.errors import CoreError
from tests.engine.cores.helpers import MidstreamError, Progress, Script, Status
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.waiting import PATIENCE_S

MODEL = "tiny:latest"
KEY = "ollama-4f1c9b7e2a5d80361b2c"
PIECES = [KEY[i : i + 8] for i in range(len(KEY) - 7)]
ROUTES = ("/api/version", "/api/tags", "/api/ps", "/api/show", "/api/delete", "/api/pull", "/api/embed")


def said(error: BaseException | str) -> str:
    text = str(error)
    assert not any(piece in text for piece in PIECES), text
    return text


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
async def test_no_refusal_tells_the_key(status: int) -> None:
    refusal: Script = Status(status, f"bad key Bearer {KEY}")
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, api_key=KEY, must_answer=False, backoff=(9, 9))
        fake.overrides = dict.fromkeys(ROUTES, refusal)
        fake.scripts.append(refusal)  # of the load
        await core.start()
        slot = core.slots()[0]
        assert slot.state is SlotState.DOWN
        assert "[key]" in said(slot.reason) or status == 404
        for call in (core.show(MODEL), core.delete(MODEL), core.load(MODEL), core.unload(MODEL)):
            with pytest.raises(CoreError) as raised:
                await call
            said(raised.value)
        with pytest.raises(CoreError) as raised:
            await anext(core.pull(MODEL))
        said(raised.value)
        said((await core.inspect()).detail)
        fault = await core.probe(5)
        said(fault.reason if fault else "")
        await core.stop(drain_s=0)
        assert {request.headers["authorization"] for request in fake.requests} == {f"Bearer {KEY}"}


async def test_no_record_of_a_pull_tells_the_key() -> None:
    async with FakeOllama(MODEL) as fake:
        core = OllamaCore(fake.host, api_key=KEY)
        await core.start()
        fake.pulls.append((Progress(f"pulling by {KEY}"), MidstreamError(f"bad key Bearer {KEY}")))
        pull = core.pull("other")
        async with asyncio.timeout(PATIENCE_S):
            assert said((await anext(pull)).status) == "pulling by [key]"
            with pytest.raises(CoreError) as raised:
                await anext(pull)
        assert "[key]" in said(raised.value)
        await core.stop(drain_s=0)
