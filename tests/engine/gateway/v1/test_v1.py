"""Our own API: tasks, the kernel, and the stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from engine.cores.port import ToolCall
from engine.events import AttemptEnded, Notice
from engine.gateway.v1 import events as event_routes
from engine.gateway.v1.events import as_json
from engine.task import AttemptState, TaskSpec
from tests.engine.gateway.helpers import Gateway, gateway, served
from tests.engine.kernel.helpers import GateCore
from tests.waiting import PATIENCE_S


async def new(here: Gateway, **fields: Any) -> dict[str, Any]:
    answer = await here.post("/v1/tasks", {"prompt": "hello"} | fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_task_from_its_submission_to_its_retry() -> None:
    core = GateCore()
    async with gateway(core) as here:
        made = await new(here, priority=3, client="cron", ref="r1", deadline=60, options={"max_tokens": 7, "seed": 1})
        assert (made["id"], made["priority"], made["client"], made["ref"]) == (1, 3, "cron", "r1")
        running = await core.next()
        assert (running.attempt.options.max_tokens, running.attempt.options.seed) == (7, 1)
        refused = await here.post("/v1/tasks/1/retry")
        assert (refused.status_code, refused.json()["detail"]) == (409, "task 1 has not ended; cancel it first")
        waited = asyncio.create_task(here.http.get("/v1/tasks/1", params={"wait": 60}))
        running.say("well")
        running.end()
        assert ((await waited).json()["state"], (await waited).json()["result"]) == ("done", "well")
        for path, body in (("cancel", {}), ("priority", {"priority": 1})):
            refused = await here.post(f"/v1/tasks/1/{path}", body)
            assert (refused.status_code, refused.json()["detail"]) == (409, "task 1 is done already")
        again = (await here.post("/v1/tasks/1/retry")).json()
        assert (again["id"], again["retry_of"], again["prompt"]) == (2, 1, "hello")


async def test_the_list_is_in_the_order_in_which_tasks_would_run() -> None:
    core = GateCore()
    async with gateway(core, policy="npps") as here:
        for priority, client in ((5, "a"), (7, "a"), (2, "b"), (7, "b")):
            await new(here, priority=priority, client=client)
        await core.next()
        listed = (await here.http.get("/v1/tasks")).json()
        assert [each["id"] for each in listed["tasks"]] == [1, 3, 2, 4]
        await here.post("/v1/tasks/4/priority", {"priority": 0})
        listed = (await here.http.get("/v1/tasks", params={"limit": 2})).json()
        assert ([each["id"] for each in listed["tasks"]], listed["more"]) == ([1, 4], 2)
        assert (await here.http.put("/v1/policy", json={"policy": "fifo"})).json() == {"policy": "fifo"}
        listed = (await here.http.get("/v1/tasks", params={"client": "b", "state": "queued"})).json()
        assert [each["id"] for each in listed["tasks"]] == [3, 4]
        refused = await here.http.put("/v1/policy", json={"policy": "nosuch"})
        assert refused.status_code == 422


async def test_a_task_is_held_and_released() -> None:
    core = GateCore()
    async with gateway(core) as here:
        await here.post("/v1/pause")
        for _ in range(2):
            await new(here)
        for _ in range(2):
            assert (await here.post("/v1/tasks/1/hold")).json()["held"] is True
        assert [each["id"] for each in (await here.http.get("/v1/tasks")).json()["tasks"]] == [2, 1]
        await here.post("/v1/resume")
        running = await core.next()
        assert running.attempt.task == 2
        refused = await here.post("/v1/tasks/2/hold")
        expected = "task 2 has started; only a queued task can be held or released"
        assert (refused.status_code, refused.json()["detail"]) == (409, expected)
        assert (await here.post("/v1/tasks/1/release")).json()["held"] is False
        running.end()
        assert (await core.next()).attempt.task == 1
        refused = await here.post("/v1/tasks/2/release")
        assert (refused.status_code, refused.json()["detail"]) == (409, "task 2 is done already")
        assert (await here.post("/v1/tasks/9/hold")).status_code == 404


async def test_paused_nothing_is_dispatched() -> None:
    core = GateCore()
    async with gateway(core) as here:
        assert (await here.post("/v1/pause")).json()["state"] == "paused"
        await new(here)
        state = (await here.http.get("/v1/kernel")).json()
        assert (state["queued"], state["running"], state["cores"][0]["models"]) == (1, 0, ["gate"])
        assert core.begun.empty()
        assert (await here.post("/v1/resume")).json()["state"] == "running"
        await core.next()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "prompt"),
        ({"prompt": "x", "deadline": -1}, "deadline"),
        ({"prompt": "x", "colour": "red"}, "colour"),
        ({"prompt": "x", "options": {"seed": 2**40}}, "options.seed"),
        ([], "dictionary"),
    ],
)
async def test_a_task_that_is_none_is_refused(body: Any, expected: str) -> None:
    async with gateway(GateCore()) as here:
        answer = await here.post("/v1/tasks", body)
        assert answer.status_code == 422
        assert expected in answer.json()["detail"]
        bad = await here.http.post("/v1/tasks", content=b"{" * 50_000, headers={"content-type": "application/json"})
        assert bad.status_code in (400, 422)
        for number in (0, 2**62 + 1, 10**40):
            assert (await here.http.get(f"/v1/tasks/{number}")).status_code == 422
        assert (await here.http.get("/v1/tasks/77")).status_code == 404


async def frames(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    kind = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


async def test_events_are_what_is_and_then_what_comes() -> None:
    core = GateCore()
    async with served(core) as here:
        await new(here, prompt="before")
        running = await core.next()
        async with here.http.stream("GET", "/v1/events", params={"tokens": "true"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            read = frames(answer)
            kinds = []
            async for kind, _ in read:
                kinds.append(kind)
                if kind == "attempt_started":
                    break
            assert kinds[:2] == ["kernel_state_changed", "policy_changed"]
            running.say("tick")
            kind, data = await anext(read)
            assert (kind, data["text"], data["kind"]) == ("attempt_progress", "tick", "text")
            running.end()
            found = {kind: data async for kind, data in _upto(read, "task_ended")}
            assert found["task_ended"]["final"]["result"] == "tick"
            here.service.leaving.set()
            assert [kind async for kind, _ in read][-1] == "end"


async def test_events_of_one_task_only() -> None:
    core = GateCore()
    async with served(core) as here:
        await new(here)
        await new(here)
        async with here.http.stream("GET", "/v1/events", params={"task": 2}) as answer:
            read = frames(answer)
            assert (await anext(read))[1]["task"] == 2
            (await core.next()).end()
            (await core.next()).end()
            found = [data["task"] async for _, data in _upto(read, "task_ended")]
            assert set(found) == {2}


async def test_a_reader_that_leaves_is_forgotten() -> None:
    async with served(GateCore()) as here:
        bus = here.kernel._services.bus
        async with here.http.stream("GET", "/v1/events") as answer:
            await anext(frames(answer))
            assert len(bus._subscriptions) == 1
        async with asyncio.timeout(PATIENCE_S):
            while bus._subscriptions:
                here.kernel.publish(Notice(0.0, "info", "anyone there?"))
                await asyncio.sleep(0.01)


async def test_a_reader_that_is_too_slow_is_told_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_routes, "CAPACITY", 10)
    async with served(GateCore()) as here, here.http.stream("GET", "/v1/events") as answer:
        read = frames(answer)
        await anext(read)
        await here.kernel.submit_many([TaskSpec(prompt="x")] * 50)
        async for kind, _ in read:
            if kind == "lost":
                break
        assert (await anext(read))[0] == "kernel_state_changed"


async def _upto(
    read: AsyncIterator[tuple[str, dict[str, Any]]], last: str
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    async for kind, data in read:
        yield kind, data
        if kind == last:
            return


def test_calls_of_tools_are_in_the_events() -> None:
    calls = (ToolCall("look_up", {"place": {"city": "Brno"}, "days": [1, 2]}, "c1"),)
    found = json.loads(json.dumps(as_json(AttemptEnded(1.0, 1, 1, 1, "s/0", AttemptState.DONE, tool_calls=calls))))
    assert found["tool_calls"] == [
        {"name": "look_up", "arguments": {"place": {"city": "Brno"}, "days": [1, 2]}, "id": "c1"}
    ]
