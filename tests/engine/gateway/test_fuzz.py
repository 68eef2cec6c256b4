"""Requests made from the service's own description: whatever comes, nothing is answered with a 5xx."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from engine.cores.scripted import ScriptedCore, ScriptedOptions
from engine.gateway.config import GatewayConfig
from tests.engine.gateway.helpers import served
from tests.profiles import examples
from tests.waiting import PATIENCE_S

CONFIG = GatewayConfig(wait_s=0.05, beat_s=0.02, rate=1e6, burst=1_000_000)
EXAMPLES = 8


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service in a thread of its own: what asks it is not async."""
    ready: list[str] = []
    listening = threading.Event()

    def run() -> None:
        asyncio.run(serve())

    async def serve() -> None:
        core = ScriptedCore(ScriptedOptions(ttft=0, tps=0, tokens=2, slots=4))
        async with served(core, config=CONFIG) as here:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            ready.extend([here.url])
            stopping.append(lambda: loop.call_soon_threadsafe(stop.set))
            listening.set()
            await stop.wait()

    stopping: list[Any] = []
    thread = threading.Thread(target=run)
    thread.start()
    assert listening.wait(PATIENCE_S)
    yield ready[0]
    stopping[0]()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def description(url: str) -> Any:
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


schema = schemathesis.pytest.from_fixture("description")


# The event stream does not end by itself, and /v1/pause would have every later query wait.
@schema.exclude(path=["/v1/events", "/v1/pause"]).parametrize()
@settings(
    max_examples=examples(EXAMPLES),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_nothing_is_answered_with_a_server_error(case: Any) -> None:
    response = case.call(timeout=PATIENCE_S)
    case.validate_response(response, checks=[not_a_server_error, status_code_conformance, response_schema_conformance])
