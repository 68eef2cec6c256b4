"""`POST /query`: one llm syscall of a client's own agent, as a task: scheduled, shown and kept as every other."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, model_validator

from engine.agents.query import QUERY_AGENT, tool_calls
from engine.gateway.aios.agents import CANCELLED, FAILED, Seconds
from engine.gateway.aios.components import MaxTokens
from engine.gateway.aios.llms import LlmChoice
from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Service, client_of, service
from engine.llm_query import MAX_MESSAGES, MAX_TOOLS, LlmQuery
from engine.task import Name, Priority, Task, TaskState
from engine.validation import reason

router = APIRouter(tags=["AIOS: query"], responses=PROBLEMS)
Shared = Annotated[Service, Depends(service)]

ACTIONS = {
    "chat": "text",
    "chat_with_json_output": "json",
    "chat_with_tool_call_output": "text",
    "tool_use": "text",
}

OTHERS = ("memory", "storage", "tool")
"""Kinds of query that AIOS has and this kernel not yet."""


def _content(value: Any) -> Any:
    """A message's words: a string, nothing, or the text parts of a list."""
    if value is None:
        return ""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError("only text can be given to the models here")
        return "\n".join(str(part) for part in parts)
    return value


def _called(value: Any) -> Any:
    """Calls of tools in an assistant's turn, as OpenAI, Ollama and AIOS write them; what is none of it is left out."""
    calls: list[dict[str, Any]] = []
    for each in value if isinstance(value, list) else []:
        function = each.get("function", each) if isinstance(each, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue
        given = function.get("arguments", function.get("parameters", {}))
        try:
            given = json.loads(given or "{}") if isinstance(given, str) else given
        except (ValueError, RecursionError):
            continue
        if isinstance(given, dict) and function["name"].strip():
            id_ = each.get("id")
            calls.append({"name": function["name"], "arguments": given, "id": id_ if isinstance(id_, str) else ""})
    return calls


Calls = Annotated[
    list[dict[str, JsonValue]],
    BeforeValidator(_called, json_schema_input_type=JsonValue),
    Field(max_length=MAX_TOOLS),
]


class ChatMessage(BaseModel):
    """`tool_calls` of an assistant's turn, `tool_call_id` and the tool's `name` of a tool's, where they were sent."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(_content, json_schema_input_type=JsonValue)] = ""
    tool_calls: Calls = []
    tool_call_id: str | None = None
    name: str | None = None


class LlmQueryData(BaseModel):
    """`llms`: the first one counts. `response_format` as with OpenAI, or a JSON schema alone."""

    model_config = ConfigDict(extra="ignore")

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    tools: Annotated[list[dict[str, JsonValue]], Field(max_length=MAX_TOOLS)] | None = None
    action_type: Literal["chat", "chat_with_json_output", "chat_with_tool_call_output", "tool_use"] = "chat"
    message_return_type: str = "text"
    query_class: Literal["llm"] = "llm"
    llms: Annotated[list[LlmChoice], Field(max_length=100)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    max_new_tokens: MaxTokens | None = None
    response_format: dict[str, JsonValue] | None = None


class LlmRequest(BaseModel):
    """`priority`, `deadline` (seconds) and `client` are ours, and optional."""

    @model_validator(mode="before")
    @classmethod
    def _is_for_a_model(cls, given: Any) -> Any:
        """Say of AIOS's other queries that there are none here, before what else is strange about them as an llm's."""
        if isinstance(given, dict):
            data = given.get("query_data")
            kinds = (given.get("query_type"), data.get("query_class") if isinstance(data, dict) else None)
            for kind in OTHERS:
                if kind in kinds:
                    raise ValueError(f"{kind} queries are not served here yet, only query_type 'llm'")
        return given

    query_type: Literal["llm"] = "llm"
    agent_name: Name
    query_data: LlmQueryData
    priority: Priority | None = None
    deadline: Seconds | None = None
    client: Name | None = None


class LlmResponse(BaseModel):
    """`error` and `status_code` tell of an llm call that failed; the request itself was well."""

    response_class: Literal["llm"] = "llm"
    response_message: str | None
    tool_calls: list[dict[str, Any]] | None
    finished: bool
    error: str | None
    status_code: int


class Answered(BaseModel):
    """Moments are Unix seconds, durations seconds; one of each, as the query was one llm syscall."""

    response: LlmResponse
    start_times: list[float]
    end_times: list[float]
    waiting_times: list[float]
    turnaround_times: list[float]


@router.post("/query")
async def query(given: LlmRequest, request: Request, shared: Shared) -> Answered:
    """Have the model answer a conversation, and wait for it. Other query types come with their syscalls."""
    data = given.query_data
    asked = _query(data)
    client = client_of(request, given.client) if given.client else given.agent_name
    task_id = await shared.submit(
        {
            "agent": QUERY_AGENT,
            "prompt": data.messages[-1].content,
            "query": asked,
            "model": await _model(shared, data, client_of(request, given.client)),
            "client": client,
            "deadline": given.deadline,
            "options": _options(shared, data, client_of(request, given.client)),
        }
        | ({} if given.priority is None else {"priority": given.priority})
    )
    ended = await shared.end_of(task_id, None)
    if ended is None:
        raise HTTPException(
            503, f"the service is stopping; the query is kept as task {task_id} and runs at the next start"
        )
    return _answer(asked, ended)


def _query(data: LlmQueryData) -> LlmQuery:
    form, schema = _form(data)
    messages = [_message(each) for each in data.messages]
    try:
        return LlmQuery.model_validate(
            {"messages": messages, "tools": data.tools or [], "form": form, "json_schema": schema}
        )
    except ValidationError as error:
        raise HTTPException(422, f"query_data.{reason(error)}") from None


def _message(each: ChatMessage) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "system" if each.role == "developer" else each.role, "content": each.content}
    if each.tool_calls and each.role == "assistant":
        message["tool_calls"] = each.tool_calls
    if each.role == "tool":
        message |= {"tool": each.name or "", "call": each.tool_call_id or ""}
    return message


def _form(data: LlmQueryData) -> tuple[str, dict[str, Any] | None]:
    wanted = data.response_format
    form = ACTIONS[data.action_type]
    if not wanted or wanted.get("type") == "text":
        return form, None
    if wanted.get("type") == "json_schema":
        described = wanted.get("json_schema")
        inner = described.get("schema", described) if isinstance(described, dict) else None
        return "json", inner if isinstance(inner, dict) else None
    return "json", None if wanted.get("type") == "json_object" else wanted


async def _model(shared: Service, data: LlmQueryData, client: str) -> str | None:
    """The first llm of the query, else of the client's selection, else of its setup."""
    own = shared.clients.get(client)
    names = [choice.name for choice in data.llms or []] or [choice["name"] for choice in own.selected]
    return await shared.model(names[0]) if names else own.model


def _options(shared: Service, data: LlmQueryData, client: str) -> dict[str, Any]:
    return {
        "max_tokens": data.max_new_tokens or shared.clients.get(client).max_tokens,
        "temperature": data.temperature,
    }


def _answer(asked: LlmQuery, task: Task) -> Answered:
    done = task.state is TaskState.DONE
    text = task.result if done else None
    calls = tool_calls(asked, text) if text else []
    response = LlmResponse(
        response_message=None if calls else text,
        tool_calls=calls or None,
        finished=True,
        error=None if done else task.error or task.state.value,
        status_code=200 if done else CANCELLED if task.state is TaskState.CANCELLED else FAILED,
    )
    started, ended = task.started_at, task.ended_at
    return Answered(
        response=response,
        start_times=[] if started is None else [started],
        end_times=[] if ended is None else [ended],
        waiting_times=[] if started is None else [started - task.submitted_at],
        turnaround_times=[] if ended is None else [ended - task.submitted_at],
    )
