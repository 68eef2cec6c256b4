"""`/query`: a client's own llm call, scheduled, kept, and answered in AIOS's words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.agents.query import find_json, messages_of, tool_calls
from engine.cores.ollama.core import OllamaCore
from engine.cores.port import Fault, FaultKind
from engine.llm_query import LlmQuery
from engine.task import TaskSpec
from persistence import SqliteStore
from tests.engine.cores.helpers import Final, Say, Status, say
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FakeModel
from tests.engine.gateway.helpers import Gateway, gateway
from tests.engine.kernel.helpers import GateCore, make_kernel

TOOL = {"type": "function", "function": {"name": "weather", "description": "", "parameters": {"type": "object"}}}


def asking(**data: Any) -> dict[str, Any]:
    """The body that the SDK sends: `LLMQuery.model_dump()` in its envelope."""
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
        message = f"Sure:\n```json\n{calls}\n```"
        answer = await ask(here, core, [message], tools=[TOOL], action_type="tool_use")
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
    ("data", "expected"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only text"),
        ({"action_type": "operate_file"}, "action_type"),
        ({"query_class": "storage"}, "storage queries are not served here yet"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
    ],
)
async def test_what_can_not_be_asked_is_refused(data: dict[str, Any], expected: str) -> None:
    async with gateway(GateCore()) as here:
        answer = await here.post("/query", asking(**data))
        assert answer.status_code == 422
        assert expected in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["memory", "storage", "tool"])
async def test_queries_of_kinds_that_are_not_served_are_refused_by_name(kind: str) -> None:
    expected = f"body: {kind} queries are not served here yet, only query_type 'llm'"
    async with gateway(GateCore()) as here:
        for body in (
            {"query_type": kind, "agent_name": "a", "query_data": {"operation_type": "add", "params": {}}},
            {"agent_name": "a", "query_data": {"query_class": kind, "params": {}}},
        ):
            answer = await here.post("/query", body)
            assert (answer.status_code, answer.json()["detail"]) == (422, expected)


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


WEATHER = {"type": "object", "properties": {"place": {"type": "object", "properties": {"city": {"type": "string"}}}}}
NATIVE = {"type": "function", "function": {"name": "weather", "description": "Of a city", "parameters": WEATHER}}


@asynccontextmanager
async def ollama_gateway(*capabilities: str) -> AsyncIterator[tuple[FakeOllama, Gateway]]:
    model = FakeModel("qwen3:8b", capabilities=("completion", *capabilities))
    async with FakeOllama(model) as fake, gateway(OllamaCore(fake.host, slots=1)) as here:
        yield fake, here


async def test_a_model_that_takes_tools_is_given_them_as_such() -> None:
    async with ollama_gateway("tools") as (fake, here):
        fake.scripts.append((Say(calls=(("weather", {"place": {"city": "Ulm"}}, "abc"), ("weather", {}))), Final()))
        bare = {"name": "clock", "description": "What time it is"}
        answer = await here.post("/query", asking(tools=[NATIVE, bare], action_type="tool_use"))
        assert answer.json()["response"]["tool_calls"] == [
            {"id": "abc", "type": "function", "name": "weather", "parameters": {"place": {"city": "Ulm"}}},
            {"id": "call_2", "type": "function", "name": "weather", "parameters": {}},
        ]
        (asked,) = fake.chats()
        clock = {**bare, "parameters": {"type": "object", "properties": {}}}
        assert asked.body["tools"] == [NATIVE, {"type": "function", "function": clock}]
        assert asked.body["messages"] == asking()["query_data"]["messages"]  # the schema is not described in the prompt
        assert asked.body["model"] == "qwen3:8b"


async def test_the_answer_of_a_tool_goes_to_the_model() -> None:
    async with ollama_gateway("tools") as (fake, here):
        call = {"id": "abc", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}}
        ours = {"id": "d", "type": "function", "name": "weather", "parameters": {"city": "Brno"}}
        turns = [
            {"role": "user", "content": "Is it raining?"},
            {"role": "assistant", "content": None, "tool_calls": [call, ours, {"odd": 1}, "x", {"name": " "}]},
            {"role": "tool", "content": "It rains.", "tool_call_id": "abc", "name": "weather"},
        ]
        answer = await here.post("/query", asking(messages=turns, tools=[NATIVE]))
        assert answer.json()["response"]["response_message"] == "Hello there."
        assert fake.chats()[0].body["messages"][1:] == [
            {"role": "assistant", "content": "", "tool_calls": [
                {"id": "abc", "function": {"name": "weather", "arguments": {"city": "Ulm"}}},
                {"id": "d", "function": {"name": "weather", "arguments": {"city": "Brno"}}}]},
            {"role": "tool", "content": "It rains.", "tool_name": "weather", "tool_call_id": "abc"},
        ]  # fmt: skip


async def test_a_model_that_takes_none_is_told_of_them() -> None:
    async with ollama_gateway() as (fake, here):
        fake.scripts.append(say('[{"name": "weather", "parameters": {}}]'))
        turns = [
            {"role": "assistant", "content": "", "tool_calls": [{"name": "weather", "parameters": {"city": "Ulm"}}]},
            {"role": "user", "content": "Again?"},
        ]
        answer = await here.post("/query", asking(messages=turns, tools=[NATIVE]))
        assert [call["name"] for call in answer.json()["response"]["tool_calls"]] == ["weather"]
        (asked,) = fake.chats()
        assert "tools" not in asked.body
        assert "You can have these tools called" in asked.body["messages"][0]["content"]
        assert asked.body["messages"][1]["content"] == '[{"name": "weather", "parameters": {"city": "Ulm"}}]'


async def test_a_form_is_enforced_where_the_server_can() -> None:
    async with ollama_gateway() as (fake, here):
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
        fake.scripts += [say('{"a": 1}'), Status(500, "unsupported schema"), say('{"a": 2}'), say("{}")]
        for form in ({"type": "json_schema", "json_schema": {"schema": schema}}, schema, {"type": "json_object"}):
            answer = await here.post("/query", asking(response_format=form))
            assert answer.json()["response"]["status_code"] == 200
        formats = [one.body.get("format") for one in fake.chats()]
        assert formats == [schema, schema, None, "json"]
