"""The routes of AIOS answer word for word what its clients read."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from engine.cores.port import Fault, FaultKind
from engine.events import AttemptStarted, TaskAccepted
from engine.gateway.config import GatewayConfig
from tests.engine.gateway.helpers import gateway, served
from tests.engine.kernel.helpers import GateCore

SETUPS: list[tuple[str, dict[str, Any], str]] = [
    (
        "/core/llm/setup",
        {
            "llm_name": "gate",
            "max_gpu_memory": None,
            "eval_device": "cuda:0",
            "max_new_tokens": 77,
            "log_mode": "console",
            "llm_backend": "default",
        },
        "LLM core initialized",
    ),
    (
        "/core/storage/setup",
        {"root_dir": "root", "use_vector_db": False, "vector_db_config": None},
        "Storage manager initialized",
    ),
    (
        "/core/memory/setup",
        {"memory_limit": 104857600, "eviction_k": 10, "custom_eviction_policy": None},
        "Memory manager initialized",
    ),
    ("/core/tool/setup", {"allowed_tools": None, "custom_tools": None}, "Tool manager initialized"),
    (
        "/core/scheduler/setup",
        {"log_mode": "console", "max_workers": 32, "custom_syscalls": None},
        "Scheduler initialized",
    ),
    (
        "/core/factory/setup",
        {"log_mode": "console", "max_workers": 32, "custom_syscalls": None},
        "Agent factory initialized",
    ),
]


@pytest.mark.parametrize(("path", "body", "message"), SETUPS, ids=[each[0] for each in SETUPS])
async def test_each_setup_is_answered_as_aios_does(path: str, body: dict[str, Any], message: str) -> None:
    async with gateway(GateCore()) as here:
        for _ in range(2):
            answer = await here.post(path, body)
            assert (answer.status_code, answer.json()) == (200, {"status": "success", "message": message})
        assert len(here.kernel.cores) == 1


async def test_status_and_cleanup() -> None:
    async with gateway(GateCore()) as here:
        parts = ("llm", "storage", "memory", "tool", "scheduler", "factory")
        assert (await here.http.get("/core/status")).json() == dict.fromkeys(parts, "active")
        answer = await here.post("/core/cleanup", {})
        assert answer.json() == {"status": "success", "message": "All components cleaned up"}


async def test_an_agent_is_submitted_polled_and_done() -> None:
    core = GateCore()
    async with gateway(core) as here:
        answer = await here.post("/agents/submit", {"agent_id": "example/story_teller", "agent_config": {"task": "Go"}})
        number = answer.json()["execution_id"]
        assert answer.json() == {
            "status": "success",
            "execution_id": number,
            "message": "Agent example/story_teller submitted for execution",
        }
        answer = await here.http.get(f"/agents/{number}/status", params={"wait": 0})
        assert answer.json() == {"status": "running", "message": "Execution in progress", "execution_id": number}
        polled = asyncio.create_task(here.http.get(f"/agents/{number}/status"))
        for text in ("one", "two", "three"):
            running = await core.next()
            running.say(text)
            running.end()
        assert (await polled).json() == {
            "status": "completed",
            "result": {"agent_name": "example/story_teller", "result": "three", "rounds": 3},
            "execution_id": number,
        }


async def test_what_a_client_set_up_reaches_the_model_until_it_cleans_up() -> None:
    core = GateCore(models=("gate", "other"))
    async with gateway(core, config=GatewayConfig(aliases={"deepseek-r1:8b": "other"})) as here:
        await here.post("/core/llm/setup", {"llm_name": "deepseek-r1:8b", "max_new_tokens": 77})
        await here.submit()
        first = await core.next()
        assert (first.attempt.model, first.attempt.options.max_tokens) == ("other", 77)
        first.end()
        await here.submit(client="someone else")
        second = await core.next()
        assert (second.attempt.model, second.attempt.options.max_tokens) == (None, None)
        second.end()
        await here.post("/core/cleanup", {})
        await here.submit()
        third = await core.next()
        assert (third.attempt.model, third.attempt.options.max_tokens) == (None, None)


async def test_cleanup_touches_nobody_elses_work_and_setup() -> None:
    core = GateCore()
    async with gateway(core) as here:
        for _ in range(2):  # two threads of one program look like one client
            await here.post("/core/llm/setup", {"llm_name": "gate", "max_new_tokens": 5})
        number = await here.submit()
        running = await core.next()
        await here.post("/core/cleanup", {})
        assert not running.stopped
        await here.submit()
        running.say("still here")
        running.end()
        assert (await here.http.get(f"/agents/{number}/status")).json()["result"]["result"] == "still here"
        assert (await core.next()).attempt.options.max_tokens == 5


async def test_threads_that_are_named_in_the_address_are_clients_of_their_own() -> None:
    """As the SDK's `requests` sends `http://ada:@host`: a header `Authorization: Basic`."""
    core = GateCore(slots=2)
    async with gateway(core) as here:
        subscription = here.kernel.subscribe()
        named = {name: {"authorization": _basic(f"{name}:")} for name in ("ada", "b\x1bb")}
        for most, headers in zip((5, 6), named.values(), strict=True):
            await here.post("/core/llm/setup", {"llm_name": "gate", "max_new_tokens": most}, headers=headers)
        for headers in named.values():
            submitted = {"agent_id": "chat", "agent_config": {"task": "hello"}}
            assert (await here.post("/agents/submit", submitted, headers=headers)).status_code == 200
        tasks = [event.spec for event in subscription.drain() if isinstance(event, TaskAccepted)]
        assert [(spec.client, spec.options.max_tokens) for spec in tasks] == [("ada", 5), ("b\ufffdb", 6)]
        await here.post("/core/cleanup", {}, headers=named["ada"])
        assert here.service.clients.get("ada").max_tokens is None
        assert here.service.clients.get("b\ufffdb").max_tokens == 6


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "expected"),
    [
        ("POST", "/core/llm/setup", {"llm_name": "gpt-9"}, 404, "unknown model 'gpt-9': there is gate"),
        (
            "POST",
            "/agents/submit",
            {"agent_id": "example/stry_teller", "agent_config": {"task": "x"}},
            404,
            "story_tel",
        ),
        ("POST", "/agents/submit", {"agent_id": "chat", "agent_config": {}}, 422, "agent_config.task: Field required"),
        ("POST", "/agents/submit", {"agent_id": "chat", "agent_config": {"task": "  "}}, 422, "the prompt is empty"),
        (
            "POST",
            "/agents/submit",
            {"agent_id": "chat", "agent_config": {"task": "x"}, "priority": 10},
            422,
            "priority",
        ),
        ("GET", "/agents/4711/status", None, 404, "there is no execution 4711"),
        ("GET", "/agents/no/status", None, 422, "execution_id"),
        ("POST", "/query", {"query_type": "memory", "agent_name": "a", "query_data": {}}, 422, "query_type"),
    ],
)
async def test_what_is_wrong_is_told_in_one_line(method: str, path: str, body: Any, status: int, expected: str) -> None:
    async with gateway(GateCore()) as here:
        answer = await here.http.request(method, path, json=body)
        assert answer.status_code == status
        detail = answer.json()["detail"]
        assert expected in detail
        assert "\n" not in detail
        assert "Traceback" not in answer.text


async def test_a_client_whose_execution_was_cancelled_or_failed_is_told() -> None:
    core = GateCore()
    async with gateway(core) as here:
        number = await here.submit()
        polled = asyncio.create_task(here.http.get(f"/agents/{number}/status"))
        await core.next()
        assert await here.kernel.cancel(number, "the operator said no")
        answer = await polled
        assert answer.status_code == 410
        assert answer.json() == {
            "status": "cancelled",
            "execution_id": number,
            "detail": "the operator said no",
        }
        number = await here.submit()
        (await core.next()).end(Fault(FaultKind.SERVER, "out of memory", False))
        answer = await here.http.get(f"/agents/{number}/status")
        assert answer.status_code == 424
        assert "out of memory" in answer.json()["detail"]


async def test_a_long_wait_sends_signs_of_life_and_then_the_answer() -> None:
    core = GateCore()
    async with served(core, config=GatewayConfig(beat_s=0.01, wait_s=60)) as here:
        number = await here.submit()
        running = await core.next()
        async with here.http.stream("GET", f"/agents/{number}/status") as answer:
            pieces = answer.aiter_text()
            text = await anext(pieces)
            assert text.strip() == ""
            running.say("late")
            running.end()
            async for piece in pieces:
                text += piece
        assert json.loads(text)["result"]["result"] == "late"


async def test_a_wait_that_is_over_says_running() -> None:
    async with gateway(GateCore(), config=GatewayConfig(beat_s=0.005, wait_s=0.02)) as here:
        number = await here.submit()
        assert (await here.http.get(f"/agents/{number}/status")).json()["status"] == "running"


async def test_other_requests_are_answered_while_polls_wait() -> None:
    core = GateCore()
    async with gateway(core) as here:
        numbers = [await here.submit(task=f"task {n}") for n in range(20)]
        polls = [asyncio.create_task(here.http.get(f"/agents/{number}/status")) for number in numbers]
        for _ in range(5):
            assert (await here.http.get("/core/status")).status_code == 200
        ps = (await here.http.get("/agents/ps")).json()["processes"]
        assert [each["execution_id"] for each in ps] == numbers
        assert not any(poll.done() for poll in polls)
        for _ in numbers:
            (await core.next()).end()
        assert [(await poll).json()["status"] for poll in polls] == ["completed"] * 20


async def test_those_who_wait_are_answered_when_the_service_stops() -> None:
    async with gateway(GateCore()) as here:
        number = await here.submit()
        polled = asyncio.create_task(here.http.get(f"/agents/{number}/status"))
        await here.http.get("/core/status")
        here.service.leaving.set()
        assert (await polled).json()["status"] == "running"


async def test_the_operator_sees_who_submitted_what() -> None:
    async with gateway(GateCore()) as here:
        subscription = here.kernel.subscribe()
        await here.http.post(
            "/agents/submit",
            json={"agent_id": "chat", "agent_config": {"task": "a\x1b[31mb"}, "priority": 2, "deadline": 9},
            headers={"user-agent": "python-requests/2.34"},
        )
        (accepted,) = [event for event in subscription.drain() if isinstance(event, TaskAccepted)]
        assert accepted.spec.client == "python-requests 127.0.0.1"
        assert (accepted.spec.priority, accepted.spec.deadline) == (2, 9)
        assert "\x1b" not in accepted.spec.prompt


async def test_priorities_of_clients_order_the_queue() -> None:
    core = GateCore()
    async with gateway(core, policy="npps") as here:
        subscription = here.kernel.subscribe()
        await here.submit(task="first")
        running = await core.next()
        late = await here.submit(task="least", priority=9)
        soon = await here.submit(task="most", priority=0)
        running.end()
        for _ in range(2):
            (await core.next()).end()
        started = [event.task for event in subscription.drain() if isinstance(event, AttemptStarted)]
        assert started[1:] == [soon, late]
