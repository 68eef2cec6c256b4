"""The page `/docs`, and the names in the OpenAPI document that client generators use."""

from __future__ import annotations

import re
from dataclasses import fields
from html import unescape
from pathlib import Path

from engine.events import Event
from engine.gateway.docs_page import page
from engine.gateway.v1.events import kind_of
from tests.engine.gateway.helpers import gateway
from tests.engine.kernel.helpers import GateCore

SCHEMAS = {
    "AcceptedExecution",
    "Acknowledgement",
    "AgentConfig",
    "AgentSubmission",
    "CancelReason",
    "ChatMessage",
    "Cleanup",
    "CompletedExecution",
    "ConfigUpdate",
    "CoreStatus",
    "ExecutionResult",
    "FailedExecution",
    "JsonValue",
    "KernelState",
    "KernelStatus",
    "LlmChoice",
    "LlmEntry",
    "LlmList",
    "LlmQueryData",
    "LlmResponse",
    "LlmSetup",
    "MemorySetup",
    "NewPriority",
    "NewTask",
    "PolicyName",
    "Problem",
    "Process",
    "ProcessList",
    "QueryAnswer",
    "QueryRequest",
    "RunnerSetup",
    "RunningExecution",
    "SelectedLlms",
    "StatusMessage",
    "StorageSetup",
    "TaskList",
    "TaskOptions",
    "TaskRecord",
    "TaskState",
    "ToolSetup",
}


async def test_the_page_needs_no_network_and_shows_every_operation() -> None:
    async with gateway(GateCore()) as here:
        answer = await here.http.get("/docs")
        document = (await here.http.get("/openapi.json")).json()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert not re.search(r"""(?:src|href)=(?!"#|"openapi\.json")""", answer.text)
    shown = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", answer.text)))
    for path, methods in document["paths"].items():
        assert all(f"{method.upper()} {path}" in shown for method in methods)
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in answer.text
    assert set(re.findall(r'href="#([^"]+)"', answer.text)) <= set(document["components"]["schemas"])


def test_text_of_the_document_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    schema = {"type": "object", "description": evil, "properties": {evil: {"type": evil, "default": evil}}}
    operation = {"tags": [evil], "description": evil, "responses": {"200": {"description": evil}}}
    document = {
        "info": {"title": evil, "version": evil, "description": evil},
        "paths": {f"/{evil}": {"get": operation}},
        "components": {"schemas": {evil: schema}},
    }
    assert "<script" not in page(document)


async def test_schema_names_stay_as_they_are() -> None:
    """Generated clients have classes of these names; more may be added."""
    async with gateway(GateCore()) as here:
        assert set((await here.http.get("/openapi.json")).json()["components"]["schemas"]) >= SCHEMAS


def test_every_event_and_field_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "http.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.*?) \|", text, re.MULTILINE))
    for kind in Event.__args__:
        names = [each.name for each in fields(kind) if each.name != "at"]
        documented = rows[kind_of(kind.__new__(kind))]
        assert re.findall(r"`([a-z_]+)`", documented)[: len(names)] == names, kind
