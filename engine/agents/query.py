"""The kernel's own agent behind `/query`: one llm syscall of a client's agent, passed to the model as it came.

Models here are given text only, so tools and a wanted form are described to them in a system message, and what they
answer is read for JSON. An answer that had to be JSON and is none gets one more round, with the reason.
"""

from __future__ import annotations

import json
import re
from typing import Any

from engine.agents.protocol import AgentContext, AgentResult
from engine.cores.port import Message
from engine.errors import AiosError
from engine.query import LlmQuery, QueryMessage
from engine.text import one_line

QUERY_AGENT = "kernel/query"
_FENCED = re.compile(r"```[a-zA-Z]*\n(.*?)```", re.DOTALL)
_DECODER = json.JSONDecoder()


class NotJsonError(ValueError):
    """A text in which there is no JSON."""


class QueryAgent:
    """Carries out the `LlmQuery` of its task. Without one, the prompt is the only message."""

    name = QUERY_AGENT
    author = "kernel"
    source = "built in"
    description = "One llm call of a client's own agent, through POST /query"
    round_total = None

    async def run(self, ctx: AgentContext) -> AgentResult:
        query = ctx.spec.query or LlmQuery(messages=(QueryMessage(role="user", content=ctx.spec.prompt),))
        conversation = messages_of(query)
        reply = (await ctx.llm(conversation)).text
        if query.form == "text":
            return {"agent_name": QUERY_AGENT, "result": reply, "rounds": 1}
        try:
            return {"agent_name": QUERY_AGENT, "result": _as_text(find_json(reply)), "rounds": 1}
        except NotJsonError as error:
            again = f"That is not valid JSON ({error}). Answer again, with the JSON only."
        conversation = (*conversation, Message("assistant", reply), Message("user", again))
        reply = (await ctx.llm(conversation)).text
        try:
            return {"agent_name": QUERY_AGENT, "result": _as_text(find_json(reply)), "rounds": 2}
        except NotJsonError as error:
            raise AiosError(f"the model was asked for JSON twice, and gave none: {error}") from None


def messages_of(query: LlmQuery) -> tuple[Message, ...]:
    """The conversation as a model is given it: the client's, after what its tools and the wanted form need."""
    before = [Message("system", text) for text in (_about_tools(query), _about_form(query)) if text]
    return (*before, *(Message(each.role, each.content) for each in query.messages))


def tool_calls(query: LlmQuery, answer: str) -> list[dict[str, Any]]:
    """The calls of the query's tools in `answer`: `{"id", "type", "name", "parameters"}` each; mostly none.

    Only tools that were offered count, with an object as parameters (models write `parameters` or `arguments`).
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
            number = f"call_{len(calls) + 1}"
            calls.append({"id": number, "type": "function", "name": call["name"], "parameters": parameters})
    return calls


def find_json(text: str) -> Any:
    """The JSON value that `text` is, or the first object or array in it. Raises NotJsonError."""
    fenced = _FENCED.search(text)
    candidate = (fenced.group(1) if fenced else text).strip()
    try:
        return json.loads(candidate)
    except (ValueError, RecursionError) as error:
        reason = one_line(str(error), 100)
    starts = [place.start() for place in re.finditer(r"[\[{]", candidate)]
    for start in starts[:100]:
        try:
            return _DECODER.raw_decode(candidate, start)[0]
        except (ValueError, RecursionError):
            continue
    raise NotJsonError(reason)


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
