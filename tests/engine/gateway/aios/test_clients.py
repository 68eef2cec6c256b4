"""Many AIOS clients at once, each doing what the SDK's concurrent test does, over real sockets.

`Client` sends what aios-agent-sdk 0.0.3 sends: paths, bodies with all default fields, a connection a request, no
time-out. `AIOS_SDK_PYTHON` names a Python that has the SDK itself; then that is run, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.cores.scripted import ScriptedCore, ScriptedOptions
from engine.events import AttemptStarted, TaskAccepted
from engine.gateway.config import GatewayConfig
from tests.engine.gateway.aios.test_agents import SETUPS
from tests.engine.gateway.helpers import served
from tests.engine.kernel.helpers import GateCore
from tests.waiting import PATIENCE_S

POLL_LIMIT_S = 10.0


class Client:
    """One thread of the concurrent client. `poll` keeps the SDK's rules, on a clock that the test can set forward."""

    def __init__(self, url: str, *, patience_s: float = POLL_LIMIT_S) -> None:
        self._url = url
        self._patience_s = patience_s
        self.polls = 0

    async def run(self, agent: str, task: str) -> dict[str, Any]:
        for path, body, _ in SETUPS:
            assert (await self._ask("POST", path, body | ({"llm_name": "scripted"} if "llm_name" in body else {})))[
                "status"
            ] == "success"
        submitted = await self._ask("POST", "/agents/submit", {"agent_id": agent, "agent_config": {"task": task}})
        result = await self._poll(submitted["execution_id"])
        await self._ask("POST", "/core/cleanup", {})
        return result

    async def _poll(self, number: int) -> dict[str, Any]:
        began = time.monotonic()
        while True:
            self.polls += 1
            status = await self._ask("GET", f"/agents/{number}/status")
            if status["status"] == "completed":
                found: dict[str, Any] = status["result"]
                return found
            if time.monotonic() - began > self._patience_s:
                raise TimeoutError
            await asyncio.sleep(0)

    async def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self._url, timeout=None, verify=False, trust_env=False) as http:
            answer = await http.request(method, path, json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@pytest.mark.parametrize("policy", ["fifo", "npps"])
async def test_five_clients_with_little_patience_wait_for_a_slow_model(policy: str) -> None:
    """No time passes for them: a single `running` answer would be the end of their patience."""
    core = ScriptedCore(ScriptedOptions(ttft=0.02, tokens=3, model="scripted"))
    async with served(core, policy=policy) as here:
        subscription = here.kernel.subscribe()
        clients = [Client(here.url, patience_s=0) for _ in range(5)]
        agents = ["example/story_teller", "example/tech_support_agent"]
        results = await asyncio.gather(
            *(client.run(agents[n % 2], f"task {n}") for n, client in enumerate(clients)),
        )
        assert [each["agent_name"] for each in results] == [agents[n % 2] for n in range(5)]
        assert [each["rounds"] for each in results] == [3] * 5
        assert all(each["result"] for each in results)
        assert [client.polls for client in clients] == [1] * 5
        events = subscription.drain()
        assert len([event for event in events if isinstance(event, TaskAccepted)]) == 5
        started = [event.task for event in events if isinstance(event, AttemptStarted)]
        assert started == [task for task in dict.fromkeys(started) for _ in range(3)], "each task done before the next"


async def test_fifty_clients_get_fifty_results() -> None:
    core = ScriptedCore(ScriptedOptions(ttft=0.001, tps=0, tokens=3, slots=4, model="scripted"))
    async with served(core) as here:
        clients = [Client(here.url) for _ in range(50)]
        results = await asyncio.gather(
            *(client.run("example/story_teller", f"task {n}") for n, client in enumerate(clients))
        )
        assert len(results) == 50
        assert len({each["result"] for each in results}) > 10
        assert [client.polls for client in clients] == [1] * 50
        assert (await here.http.get("/v1/kernel")).json()["running"] == 0


async def test_others_are_answered_while_fifty_wait() -> None:
    core = GateCore(slots=2)
    async with served(core) as here:
        numbers = [await here.submit(task=f"task {n}") for n in range(50)]
        order: list[str] = []

        async def poll(number: int) -> None:
            async with httpx.AsyncClient(base_url=here.url, timeout=PATIENCE_S, verify=False, trust_env=False) as http:
                assert (await http.get(f"/agents/{number}/status")).json()["status"] == "completed"
            order.append("poll")

        polls = [asyncio.create_task(poll(number)) for number in numbers]
        for path in ("/core/status", "/status", "/agents/ps", "/v1/tasks", "/v1/kernel", "/core/llms/list"):
            assert (await here.http.get(path)).status_code == 200
            order.append("other")
        late = await here.submit(task="late")
        assert (await here.post(f"/v1/tasks/{late}/cancel")).json()["state"] == "cancelled"
        order.append("other")
        for _ in numbers:
            (await core.next()).end()
        await asyncio.gather(*polls)
        assert order == ["other"] * 7 + ["poll"] * 50


@pytest.mark.skipif(not os.environ.get("AIOS_SDK_PYTHON"), reason="AIOS_SDK_PYTHON names no Python with the SDK")
@pytest.mark.parametrize("policy", ["fifo", "npps"])
async def test_the_real_sdk(policy: str) -> None:
    core = ScriptedCore(ScriptedOptions(ttft=0.9, tokens=3, model="scripted"))
    config = GatewayConfig(aliases={"deepseek-r1:8b": "scripted"})
    async with served(core, policy=policy, config=config) as here:
        subscription = here.kernel.subscribe()
        program = str(Path(__file__).with_name("sdk_client.py"))
        process = await asyncio.create_subprocess_exec(
            os.environ["AIOS_SDK_PYTHON"],
            program,
            here.url,
            "5",
            "deepseek-r1:8b",
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        records = [json.loads(line) for line in out.splitlines()]
        assert len(records) == 5
        assert [each.get("error") for each in records] == [None] * 5
        assert {each["result"]["rounds"] for each in records} == {3}
        accepted = [event.spec.client for event in subscription.drain() if isinstance(event, TaskAccepted)]
        assert sorted(map(str, accepted)) == [f"thread-{number}" for number in range(5)]
