"""The `response_format` field of OpenAI's protocol, which llama.cpp's engine takes, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def response_format(wanted: str | dict[str, Any]) -> dict[str, Any]:
    """Return the field for the option `format`: `"json"`, or a JSON schema that the reply must meet."""
    if isinstance(wanted, str):
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": "reply", "schema": wanted}
    if _closed(wanted):
        schema["strict"] = True
    return {"type": "json_schema", "json_schema": schema}


def _closed(schema: Any) -> bool:
    """True for a schema that OpenAI enforces: each object names all it may have, and needs all of it."""
    if isinstance(schema, list):
        return all(_closed(each) for each in schema)
    if not isinstance(schema, Mapping):
        return True
    if "properties" in schema:
        names = set(schema["properties"]) if isinstance(schema["properties"], Mapping) else set()
        if schema.get("additionalProperties") is not False or names - set(schema.get("required") or ()):
            return False
    return all(_closed(each) for each in schema.values())
