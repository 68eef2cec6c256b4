"""Tasks out of arguments and standard input."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from pydantic import ValidationError

from aios_tui.cli.generation_options import flag_of
from engine.errors import UsageError
from engine.sanitise import one_line
from engine.task import MAX_PROMPT_CHARS, TaskSpec
from engine.validation import reason

MAX_LINE_BYTES = 4 * MAX_PROMPT_CHARS


def from_prompts(prompts: Iterable[str], defaults: Mapping[str, Any]) -> list[TaskSpec]:
    """A task for each prompt. Raises UsageError for the first that can't be one."""
    specs = []
    for number, prompt in enumerate(prompts, 1):
        try:
            specs.append(TaskSpec.model_validate({**defaults, "prompt": _as_typed(prompt)}))
        except ValidationError as error:
            raise UsageError(_told(error, f"task {number}", defaults, {})) from None
    return specs


def _told(error: ValidationError, where: str, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """The line for a task that can't be one: it names the option where the bad value comes from one."""
    loc = error.errors(include_url=False, include_context=False)[0]["loc"]
    for key in loc:
        mine = values.get(key) if isinstance(key, str) else None
        if not isinstance(key, str) or key not in defaults or (mine is not None and not isinstance(mine, Mapping)):
            break
        given = defaults[key]
        if not isinstance(given, Mapping):
            return f"option {flag_of(key)}: {reason(error, len(loc))}"
        defaults, values = given, mine or {}
    return f"{where}: {reason(error)}"


def _as_typed(argument: str) -> str:
    """An argument that the locale could not decode, read as UTF-8."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return os.fsencode(argument).decode("utf-8", "replace")
    return argument


def from_stream(
    stream: BinaryIO, defaults: Mapping[str, Any], name: str = "<stdin>"
) -> tuple[list[TaskSpec], list[str]]:
    """A task for each line that is not blank, and where each stands, as `<stdin>, line 3`.

    If the first of them begins with `{`, every line is a JSON object with the fields of `TaskSpec`, and `defaults`
    are for those it leaves out; otherwise every line is a prompt. UTF-8, lines of at most 4 MiB.

    Raises:
        UsageError: a line is bad, with its number and the reason; or there is no task.
    """
    specs: list[TaskSpec] = []
    places: list[str] = []
    as_json: bool | None = None
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(raw) > MAX_LINE_BYTES:
            raise UsageError(f"{where}: longer than {MAX_LINE_BYTES >> 20} MiB")
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise UsageError(f"{where}: not UTF-8 at byte {error.start + 1}") from None
        if not line:
            continue
        if as_json is None:
            as_json = line.startswith("{")
        values = _object(line, where) if as_json else {"prompt": line}
        try:
            specs.append(TaskSpec.model_validate(_over(defaults, values)))
        except ValidationError as error:
            raise UsageError(_told(error, where, defaults, values)) from None
        places.append(where)
    if not specs:
        raise UsageError(f"{name}: there is no task in it")
    return specs, places


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a number of too many digits, or too many brackets
        raise UsageError(one_line(f"{where}: not JSON: {error}", 200)) from None
    if not isinstance(found, dict):
        raise UsageError(f"{where}: not a JSON object")
    return found


def _over(defaults: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """`values`, with `defaults` for what they leave out, in `options` too."""
    merged = {**defaults, **values}
    options, mine = defaults.get("options"), values.get("options")
    if isinstance(options, Mapping) and isinstance(mine, Mapping):
        merged["options"] = {**options, **mine}
    return merged
