"""Validation with pydantic: the base of strict records, and errors as one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.sanitise import one_line

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


_KINDS = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    "finite_number": "a finite number",
    "string_type": "text",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


class Strict(BaseModel):
    """A record that can't be changed and takes no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def wording(problem: ErrorDetails) -> str:
    """One validation error in our wording, quoting the value if it is a number or one of a few words."""
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return "no such field"
    if kind in _KINDS:
        if given == "":
            return f"the value is empty; it has to be {_KINDS[kind]}"
        shown = f"{_shown(given)} is not" if kind != "string_type" else "not"
        return f"{shown} {_KINDS[kind]}"
    if kind in _BOUNDS and (key := _BOUNDS[kind][0]) in context:
        return f"{_shown(given)} is out of range: it has to be {_BOUNDS[kind][1]} {context[key]}"
    if kind == "literal_error":
        return f"{_shown(given)} is none of {context.get('expected', 'the known ones')}"
    return problem["msg"].removeprefix("Value error, ")


def _shown(given: Any) -> str:
    if isinstance(given, str | int | float | bool):
        return one_line(ascii(given) if isinstance(given, str) else str(given)[:80], 40)
    return "this"


def reason(error: ValidationError, skip: int = 0) -> str:
    """The first error as `field: message`, and the number of further ones. Never quotes the input at length.

    `skip`: leading parts of the field's path to leave out, such as the tag of a union.
    """
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"][skip:])
    message = wording(first)
    more = error.error_count() - 1
    tail = f" (and {more} more)" if more else ""
    return one_line(f"{where}: {message}{tail}" if where else f"{message}{tail}")
