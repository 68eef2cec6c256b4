"""The page `/docs`: the API as plain HTML, made from its OpenAPI document.

It needs no network and runs no script, unlike Swagger UI, which FastAPI loads from a CDN: that page is blank on a
machine without internet, and gives a third party a script on the operator's own origin. All text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = """
:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
padding: 0 1rem } code { font-size: .9em } details { border-top: 1px solid #8886; padding: .4rem 0 }
summary { cursor: pointer } table { border-collapse: collapse; margin: .5rem 0 } td, th { padding: .1rem 1rem .1rem 0;
text-align: left; vertical-align: top } h2 { margin-top: 2rem } b { display: inline-block; min-width: 3.5rem }
"""

Node = Mapping[str, Any]


def add(app: FastAPI) -> None:
    """Add the route `/docs` to `app`."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers={"content-security-policy": POLICY})


def page(document: Node) -> str:
    """Return an OpenAPI 3.1 document as one HTML page: operations by tag, then schemas."""
    return "\n".join(_page(document))


def _page(document: Node) -> Iterator[str]:
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    yield f"<h1>{title}</h1>{_text(document['info'].get('description', ''))}"
    yield '<p>For programs: <a href="openapi.json">openapi.json</a>. JSON bodies need the header <code>content-type: '
    yield "application/json</code>. The errors of an operation are in the document.</p>"
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            block = "\n".join(_operation(path, method, operation))
            by_tag.setdefault(next(iter(operation.get("tags", ())), "other"), []).append(block)
    for tag, blocks in by_tag.items():
        yield f"<h2>{escape(tag)}</h2>"
        yield from blocks
    yield "<h2>Schemas</h2>"
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        yield f'<details id="{escape(name)}" open><summary><code>{escape(name)}</code></summary>'
        yield _text(schema.get("description", ""))
        required = schema.get("required", ())
        rows = [(key, _type(each), key in required, each) for key, each in schema.get("properties", {}).items()]
        yield _table(rows) if rows else f"<p>{_type(schema)}</p>"
        yield "</details>"


def _operation(path: str, method: str, operation: Node) -> Iterator[str]:
    first, _, rest = operation.get("description", operation.get("summary", "")).partition("\n")
    yield f"<details><summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code> {escape(first)}</summary>"
    yield _text(rest)
    rows = [
        (f"{each['name']} ({each['in']})", _type(each["schema"]), each.get("required", False), each | each["schema"])
        for each in operation.get("parameters", ())
    ]
    if rows:
        yield _table(rows)
    if body := operation.get("requestBody"):
        yield f"<p>Body: {_content(body)}</p>"
    for status, answer in operation.get("responses", {}).items():
        if status < "400":
            yield f"<p>{escape(status)}: {_content(answer) or escape(answer.get('description', ''))}</p>"
    yield "</details>"


def _table(rows: list[tuple[str, str, bool, Node]]) -> str:
    """Return a table of fields: name, type as HTML, required, and the schema with limits and default."""
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{kind}<td>{'required' if required else ''}<td>{_limits(schema)}"
        for name, kind, required, schema in rows
    )
    return f"<table>{cells}</table>"


def _limits(schema: Node) -> str:
    names = ("minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "default")
    alternatives = [schema, *schema.get("anyOf", ())]
    found = [f"{name} {each[name]}" for each in alternatives for name in names if each.get(name) is not None]
    return escape("; ".join([*filter(None, [schema.get("description", "")]), *found]))


def _content(part: Node) -> str:
    return ", ".join(_type(each.get("schema", {})) or escape(kind) for kind, each in part.get("content", {}).items())


def _type(schema: Node) -> str:
    """Return a schema's type as HTML, with links to named schemas."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(each) for each in alternatives)
    if "const" in schema or "enum" in schema:
        return escape(" or ".join(f'"{value}"' for value in schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {})) or 'anything'}"
    return escape(str(schema.get("type", "")))


def _text(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.strip().split("\n\n") if part)
