"""`/query`: a client's own llm call, scheduled, kept, and answered in AIOS's words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from engine.agents.query import find_json, messages_of, tool_calls
from engine.cores.port import Fault, FaultKind
from engine.model import TaskSpec
from engine.query import LlmQuery
from persistence import SqliteStore
from tests.gateway.running import Gateway, gateway
from tests.kernel.gate import GateCore, make_kernel

TOOL = {"type": "function", "function": {"name": "weather", "description": "", "parameters": {"type": "object"}}}


def asking(**data: Any) -> dict[str, Any]:
    """What the SDK sends: `LLMQuery.model_dump()` in its envelope."""
    query = {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "tools": [],
        "action_type": "chat",
        "message_return_type": "text",
    }
    return {"query_type": "llm", "agent_name": "my_agent", "query_data": query | data}


async def ask(here: Gateway, core: GateCore, replies: list[str], **data: Any) -> dict[str, Any]:
    asked = asyncio.create_task(here.post("/query", asking(**data)))
    for reply in replies:
        running = await core.next()
        running.say(reply)
        running.end()
    answer = await asked
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_conversation_reaches_the_model_and_the_answer_comes_back() -> None:
    core = GateCore()
    async with gateway(core) as here:
        asked = asyncio.create_task(here.post("/query", asking(temperature=0.5, max_new_tokens=9)))
        running = await core.next()
        assert [(each.role, each.content) for each in running.attempt.messages] == [
            ("system", "Be brief."),
            ("user", "Hello"),
        ]
        assert (running.attempt.options.temperature, running.attempt.options.max_tokens) == (0.5, 9)
        (live,) = here.kernel.live_tasks()
        assert (live.spec.prompt, live.spec.client) == ("Hello", "my_agent")
        running.say("Hi.")
        running.end()
        answer = (await asked).json()
        assert answer["response"] == {
            "response_class": "llm",
            "response_message": "Hi.",
            "tool_calls": None,
            "finished": True,
            "error": None,
            "status_code": 200,
        }
        for times in ("start_times", "end_times", "waiting_times", "turnaround_times"):
            assert len(answer[times]) == 1
        assert answer["end_times"][0] >= answer["start_times"][0] > 0


async def test_calls_of_tools_are_read_from_the_answer() -> None:
    core = GateCore()
    async with gateway(core) as here:
        calls = '[{"name": "weather", "parameters": {"city": "Ulm"}}, {"name": "rm", "parameters": {}}]'
        said = f"Sure:\n```json\n{calls}\n```"
        answer = await ask(here, core, [said], tools=[TOOL], action_type="tool_use")
        assert answer["response"]["response_message"] is None
        assert answer["response"]["tool_calls"] == [
            {"id": "call_1", "type": "function", "name": "weather", "parameters": {"city": "Ulm"}}
        ]
        answer = await ask(here, core, ["No tool helps."], tools=[TOOL])
        assert (answer["response"]["tool_calls"], answer["response"]["response_message"]) == (None, "No tool helps.")


async def test_json_is_asked_for_again_when_it_is_none() -> None:
    core = GateCore()
    schema = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    async with gateway(core) as here:
        answer = await ask(here, core, ["no", '{"a": 1}'], action_type="chat_with_json_output", response_format=schema)
        assert json.loads(answer["response"]["response_message"]) == {"a": 1}
        answer = await ask(here, core, ["no", "still not"], action_type="chat_with_json_output")
        assert answer["response"]["response_message"] is None
        assert "asked for JSON twice" in answer["response"]["error"]
        assert answer["response"]["status_code"] == 424


async def test_a_failure_and_a_cancellation_are_told_in_the_answer() -> None:
    core = GateCore()
    async with gateway(core) as here:
        asked = asyncio.create_task(here.post("/query", asking()))
        (await core.next()).end(Fault(FaultKind.SERVER, "out of memory", False))
        answer = (await asked).json()
        assert (answer["response"]["error"], answer["response"]["status_code"]) == ("out of memory", 424)
        asked = asyncio.create_task(here.post("/query", asking()))
        running = await core.next()
        await here.kernel.cancel(running.attempt.task, "not today")
        answer = (await asked).json()
        assert (answer["response"]["error"], answer["response"]["status_code"]) == ("not today", 410)


async def test_the_models_that_a_client_chose_are_asked() -> None:
    core = GateCore(models=("gate", "other"))
    async with gateway(core) as here:
        llms = (await here.http.get("/core/llms/list")).json()
        assert [each["name"] for each in llms["llms"]] == ["gate", "other"]
        assert (await here.http.get("/user/selected/llms")).json()["status"] == "warning"
        chosen = await here.post("/user/select/llms", [{"name": "other", "provider": "ollama"}])
        assert chosen.json()["status"] == "success"
        assert (await here.http.get("/user/selected/llms")).json()["llms"] == [{"name": "other", "provider": "ollama"}]
        asked = asyncio.create_task(here.post("/query", asking()))
        running = await core.next()
        assert running.attempt.model == "other"
        running.end()
        await asked
        asked = asyncio.create_task(here.post("/query", asking(llms=[{"name": "gate", "backend": "x"}])))
        running = await core.next()
        assert running.attempt.model == "gate"
        running.end()
        await asked
        assert (await here.post("/user/select/llms", [{"name": "nope"}])).status_code == 404
        assert (await here.post("/query", asking(llms=[{"name": "nope"}]))).status_code == 404


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only text"),
        ({"action_type": "operate_file"}, "action_type"),
        ({"query_class": "storage"}, "query_class"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
    ],
)
async def test_what_can_not_be_asked_is_refused(data: dict[str, Any], told: str) -> None:
    async with gateway(GateCore()) as here:
        answer = await here.post("/query", asking(**data))
        assert answer.status_code == 422
        assert told in answer.json()["detail"]


async def test_a_query_outlives_the_process(tmp_path: Path) -> None:
    query = LlmQuery.model_validate(
        {"messages": [{"role": "user", "content": "a\x1bb"}], "tools": [{"x": None, "y": ["\x07"]}], "form": "json"}
    )
    spec = TaskSpec(prompt="a", agent="kernel/query", query=query)
    path = tmp_path / "h.sqlite3"
    store = SqliteStore(path)
    await store.open()
    kernel = make_kernel(GateCore(), store=store)
    await kernel.start(paused=True)
    number = await kernel.submit(spec)
    await kernel.stop()
    await store.close()
    store, core = SqliteStore(path), GateCore()
    await store.open()
    kernel = make_kernel(core, store=store)
    await kernel.start()
    running = await core.next()
    assert [each.content for each in running.attempt.messages] == [each.content for each in messages_of(query)]
    running.say('{"ok": true}')
    running.end()
    assert (await kernel.wait(number)).result == '{"ok": true}'
    again = await kernel.retry(number)
    found = await kernel.find(again)
    assert found is not None
    assert found.spec.query == query
    assert "\x1b" not in query.messages[0].content
    await kernel.stop()
    await store.close()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("```json\n[1]\n```", [1]),
        ('So [it] is: {"a": [2]} and more', {"a": [2]}),
        ("12", 12),
    ],
)
def test_json_is_found_in_what_models_write(text: str, value: Any) -> None:
    assert find_json(text) == value


@pytest.mark.parametrize("text", ["", "no", "{", "[" * 100_000, "{'a': 1}"])
def test_where_there_is_no_json_that_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        find_json(text)


@pytest.mark.parametrize(
    "answer",
    [
        '{"name": "weather", "arguments": {"city": "Ulm"}}',
        '{"tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Ulm"}}}]}',
    ],
)
def test_other_spellings_of_a_call_are_understood(answer: str) -> None:
    query = LlmQuery.model_validate({"messages": [{"role": "user", "content": "x"}], "tools": [TOOL]})
    (call,) = tool_calls(query, answer)
    assert (call["name"], call["parameters"]) == ("weather", {"city": "Ulm"})
