"""pydantic's findings as one clear line."""

from __future__ import annotations

from pydantic import ValidationError

from engine.text import one_line


def reason(error: ValidationError, skip: int = 0) -> str:
    """The first thing wrong, as `field: what`, and how many more there are. Never quotes the input at length.

    `skip` leaves out so many leading parts of the field's path, such as the tag of a union.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"][skip:])
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        what = "no such field"
    more = error.error_count() - 1
    tail = f" (and {more} more)" if more else ""
    return one_line(f"{where}: {what}{tail}" if where else f"{what}{tail}")
