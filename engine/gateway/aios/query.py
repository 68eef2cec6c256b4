"""`POST /query`: runs one llm syscall of a client's own agent as a task, scheduled and recorded like every other."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, model_validator

from engine.agents.query import QUERY_AGENT, tool_calls
from engine.gateway.aios.agents import CANCELLED, FAILED, Seconds
from engine.gateway.aios.components import MaxTokens
from engine.gateway.aios.llms import LlmChoice
from engine.gateway.clients import Client
from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Service, Shared, client_of
from engine.llm_query import MAX_MESSAGES, MAX_TOOLS, LlmQuery
from engine.task import Name, Priority, Task, TaskState
from engine.validation import reason

router = APIRouter(tags=["AIOS: query"], responses=PROBLEMS)

OTHERS = ("memory", "storage", "tool")
"""AIOS query types that this kernel does not support yet."""


def _content(value: Any) -> Any:
    """Return a message's text from a string, null, or a list of text parts."""
    if value is None:
        return ""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError("only text content is supported")
        return "\n".join(str(part) for part in parts)
    return value


def _parse_tool_calls(value: Any) -> Any:
    """Read an assistant's tool calls in the forms of OpenAI, Ollama and AIOS; anything else is dropped."""
    calls: list[dict[str, Any]] = []
    for each in value if isinstance(value, list) else []:
        function = each.get("function", each) if isinstance(each, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue
        arguments = function.get("arguments", function.get("parameters", {}))
        try:
            arguments = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
        except (ValueError, RecursionError):
            continue
        if isinstance(arguments, dict) and function["name"].strip():
            id_ = each.get("id")
            calls.append({"name": function["name"], "arguments": arguments, "id": id_ if isinstance(id_, str) else ""})
    return calls


Calls = Annotated[
    list[dict[str, JsonValue]],
    BeforeValidator(_parse_tool_calls, json_schema_input_type=JsonValue),
    Field(max_length=MAX_TOOLS),
]


class ChatMessage(BaseModel):
    """`tool_calls` belong to an assistant's turn, `tool_call_id` and `name` to a tool's."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(_content, json_schema_input_type=JsonValue)] = ""
    tool_calls: Calls = []
    tool_call_id: str | None = None
    name: str | None = None


class LlmQueryData(BaseModel):
    """The first of `llms` is used. `response_format` is as in OpenAI's API, or a JSON schema alone."""

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


class QueryRequest(BaseModel):
    """`priority`, `deadline` (seconds; recorded, not enforced) and `client` are our own, optional."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_other_types(cls, given: Any) -> Any:
        """Refuse other AIOS query types by name, before their fields fail validation as those of an llm query."""
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
    """`error` and `status_code` describe a failed llm call; the request itself succeeded."""

    response_class: Literal["llm"] = "llm"
    response_message: str | None
    tool_calls: list[dict[str, Any]] | None
    finished: bool
    error: str | None
    status_code: int


class QueryAnswer(BaseModel):
    """Start and end in Unix seconds, durations in seconds; one of each, as a query is one llm syscall."""

    response: LlmResponse
    start_times: list[float]
    end_times: list[float]
    waiting_times: list[float]
    turnaround_times: list[float]


@router.post("/query")
async def query(given: QueryRequest, request: Request, shared: Shared) -> QueryAnswer:
    """Run one llm call on a conversation and wait for the answer. Other query types are refused."""
    data, llm_query = given.query_data, _query(given.query_data)
    client = client_of(request, given.client)
    own = shared.clients.get(client)
    task_id = await shared.submit(
        {
            "agent": QUERY_AGENT,
            "prompt": data.messages[-1].content,
            "query": llm_query,
            "model": await _model(shared, data, own),
            "client": client if given.client else given.agent_name,
            "priority": given.priority,
            "deadline": given.deadline,
            "options": {"max_tokens": data.max_new_tokens or own.max_tokens, "temperature": data.temperature},
        }
    )
    ended = await shared.end_of(task_id, None)
    if ended is None:
        raise HTTPException(
            503, f"the service is stopping; the query is kept as task {task_id} and runs at the next start"
        )
    return _answer(llm_query, ended)


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
    form = "json" if data.action_type == "chat_with_json_output" else "text"
    if not wanted or wanted.get("type") == "text":
        return form, None
    if wanted.get("type") == "json_schema":
        outer = wanted.get("json_schema")
        inner = outer.get("schema", outer) if isinstance(outer, dict) else None
        return "json", inner if isinstance(inner, dict) else None
    return "json", None if wanted.get("type") == "json_object" else wanted


async def _model(shared: Service, data: LlmQueryData, own: Client) -> str | None:
    """Return the first llm of the query, else of the client's selection, else of its setup."""
    names = [choice.name for choice in data.llms or []] or [choice["name"] for choice in own.selected]
    return await shared.model(names[0]) if names else own.model


def _answer(llm_query: LlmQuery, task: Task) -> QueryAnswer:
    done = task.state is TaskState.DONE
    text = task.result if done else None
    calls = tool_calls(llm_query, text) if text else []
    response = LlmResponse(
        response_message=None if calls else text,
        tool_calls=calls or None,
        finished=True,
        error=None if done else task.error or task.state.value,
        status_code=200 if done else CANCELLED if task.state is TaskState.CANCELLED else FAILED,
    )
    started, ended = task.started_at, task.ended_at
    return QueryAnswer(
        response=response,
        start_times=[] if started is None else [started],
        end_times=[] if ended is None else [ended],
        waiting_times=[] if started is None else [started - task.submitted_at],
        turnaround_times=[] if ended is None else [ended - task.submitted_at],
    )
