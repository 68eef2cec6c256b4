"""The kernel's own agent behind `/query`: one llm syscall of a client's agent, passed to the model unchanged.

A model that supports tools gets them as such. For the others, tools and the wanted form are described in a system
message, and the answer is searched for JSON. An answer that should be JSON and is not gets one more round, with the
reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.agents.protocol import AgentContext, AgentResult
from engine.cores.port import Message, ToolCall
from engine.errors import AiosError
from engine.llm_query import LlmQuery, QueryMessage
from engine.sanitise import one_line
from engine.task import GenerationOptions

QUERY_AGENT = "kernel/query"
_FENCED = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)
_DECODER = json.JSONDecoder()


class NotJsonError(ValueError):
    """The text contains no JSON."""


class QueryAgent:
    """Executes the `LlmQuery` of its task. Without one, the prompt is the only message."""

    name = QUERY_AGENT
    author = "kernel"
    source = "built in"
    description = "One llm call of a client's own agent, through POST /query"
    round_total = None

    async def run(self, ctx: AgentContext) -> AgentResult:
        query = ctx.spec.query or LlmQuery(messages=(QueryMessage(role="user", content=ctx.spec.prompt),))
        model = ctx.tool_model() if query.tools else None
        tools = native_tools(query) if model else ()
        native = bool(tools)
        conversation = messages_of(query, native=native)
        wanted = None
        if query.form == "json" and not query.tools:  # a grammar would forbid the calls that the model may rather make
            wanted = GenerationOptions(format=query.json_schema or "json")
        for rounds in (1, 2):
            answer = await ctx.llm(conversation, options=wanted, model=model if native else None, tools=tools)
            tools, result = (), answer.text
            if answer.tool_calls:
                result = _calls_as_text(answer.tool_calls)
            elif query.form == "json":
                try:
                    result = _as_text(find_json(answer.text))
                except NotJsonError as error:
                    problem = str(error)
                    again = f"That is not valid JSON ({problem}). Answer again, with the JSON only."
                    conversation = (*conversation, Message("assistant", answer.text), Message("user", again))
                    continue
            return {"agent_name": QUERY_AGENT, "result": result, "rounds": rounds}
        raise AiosError(f"the model was asked for JSON twice, and gave none: {problem}")


def messages_of(query: LlmQuery, *, native: bool = False) -> tuple[Message, ...]:
    """Return the client's conversation, after the system messages that describe tools and the wanted form.

    `native`: the model supports tools and tool calls, so none are described.
    """
    texts = ("" if native else _about_tools(query), _about_form(query))
    before = [Message("system", text) for text in texts if text]
    return (*before, *(_turn(each, native) for each in query.messages))


def _turn(message: QueryMessage, native: bool) -> Message:
    calls = tuple(ToolCall(call.name, call.arguments, call.id) for call in message.tool_calls)
    if native:
        return Message(message.role, message.content, calls, message.tool, message.call)
    return Message(message.role, message.content or (_calls_as_text(calls) if calls else ""))


def native_tools(query: LlmQuery) -> tuple[Mapping[str, Any], ...]:
    """Return the query's tools in the form of `Attempt.tools`; none if one of them lacks a name."""
    tools: list[Mapping[str, Any]] = []
    for tool in query.tools:
        given = tool.get("function")
        function = dict(given) if isinstance(given, dict) else {key: tool[key] for key in tool if key != "type"}
        if _tool_name(tool) is None:
            return ()
        function.setdefault("parameters", {"type": "object", "properties": {}})
        tools.append({"type": "function", "function": function})
    return tuple(tools)


def tool_calls(query: LlmQuery, answer: str) -> list[dict[str, Any]]:
    """Return the calls of the query's tools in `answer`, each `{"id", "type", "name", "parameters"}`; often none.

    The answer of a model that supports tools is a list of calls already, with the server's ids where it gave any. Only
    tools of the query count, with an object as parameters (models write `parameters` or `arguments`).
    """
    names = {_tool_name(tool) for tool in query.tools}
    try:
        found = find_json(answer) if query.tools else []
    except NotJsonError:
        return []
    if isinstance(found, dict):
        found = found.get("tool_calls", [found])
    calls: list[dict[str, Any]] = []
    for each in found if isinstance(found, list) else []:
        call = each.get("function", each) if isinstance(each, dict) else None
        if not isinstance(call, dict) or call.get("name") not in names:
            continue
        parameters = call.get("parameters", call.get("arguments", {}))
        if isinstance(parameters, dict):
            own = each.get("id") if isinstance(each, dict) else None
            number = own if isinstance(own, str) and own else f"call_{len(calls) + 1}"
            calls.append({"id": number, "type": "function", "name": call["name"], "parameters": parameters})
    return calls


def find_json(text: str) -> Any:
    """Parse `text` as JSON, or else the first object or array in it. Raises NotJsonError."""
    fenced = _FENCED.search(text)
    candidate = (fenced.group(1) if fenced else text).strip()
    try:
        return json.loads(candidate)
    except (ValueError, RecursionError) as error:
        reason = one_line(str(error), 100)
    starts = [match.start() for match in re.finditer(r"[\[{]", candidate)]
    for start in starts[:100]:
        try:
            return _DECODER.raw_decode(candidate, start)[0]
        except (ValueError, RecursionError):
            continue
    raise NotJsonError(reason)


def _calls_as_text(calls: Sequence[ToolCall]) -> str:
    """Return calls in the form in which models without tool support write them."""
    named = [{"id": call.id, "name": call.name, "parameters": dict(call.arguments)} for call in calls]
    return _as_text([{key: value for key, value in call.items() if value != ""} for call in named])


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _tool_name(tool: dict[str, Any]) -> Any:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return name if isinstance(name, str) else None


def _about_tools(query: LlmQuery) -> str:
    if not query.tools:
        return ""
    described = [each.get("function", each) for each in query.tools]
    return (
        "You can have these tools called, described in JSON:\n"
        f"{json.dumps(described, ensure_ascii=False)}\n"
        "If one of them helps, answer with nothing but a JSON array of calls, such as "
        '[{"name": "the tool", "parameters": {}}]. If none does, answer in plain words.'
    )


def _about_form(query: LlmQuery) -> str:
    if query.form != "json":
        return ""
    schema = f" It must fit this JSON schema:\n{_as_text(query.json_schema)}" if query.json_schema else ""
    return f"Answer with valid JSON only, without any other words.{schema}"
