"""Tasks from arguments and standard input."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from pydantic import ValidationError

from aios_tui.cli.generation_options import flag_of
from aios_tui.cli.output import standard_input
from engine.errors import UsageError
from engine.sanitise import one_line
from engine.task import MAX_PROMPT_CHARS, GenerationOptions, TaskSpec
from engine.validation import reason
from engine.wording import nearest

MAX_LINE_BYTES = 4 * MAX_PROMPT_CHARS


def read_tasks(prompts: Sequence[str], defaults: Mapping[str, Any]) -> tuple[list[TaskSpec], list[str]]:
    """Return a task for each prompt, or for each line of stdin where `-` is the only one, and each line's origin.

    `defaults` are fields of TaskSpec for what a task leaves out. There are no origins for prompts.

    Raises:
        UsageError: a task is invalid; `-` is not the only prompt.
    """
    if tuple(prompts) == ("-",):
        return from_stream(standard_input(), defaults)
    if "-" in prompts:
        raise UsageError("- stands alone: tasks come from standard input or from arguments")
    return from_prompts(prompts, defaults), []


def from_prompts(prompts: Iterable[str], defaults: Mapping[str, Any]) -> list[TaskSpec]:
    """Return a task for each prompt. Raises UsageError for the first invalid one."""
    specs = []
    for number, prompt in enumerate(prompts, 1):
        try:
            specs.append(TaskSpec.model_validate({**defaults, "prompt": _decode_argument(prompt)}))
        except ValidationError as error:
            raise UsageError(_explain(error, f"task {number}", defaults, {})) from None
    return specs


def _explain(error: ValidationError, where: str, defaults: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return one line for an invalid task; it names the option if the bad value comes from one."""
    first = error.errors(include_url=False, include_context=False)[0]
    loc = first["loc"]
    for key in loc:
        own = values.get(key) if isinstance(key, str) else None
        if not isinstance(key, str) or key not in defaults or (own is not None and not isinstance(own, Mapping)):
            break
        given = defaults[key]
        if not isinstance(given, Mapping):
            return f"option {flag_of(key)}: {reason(error, len(loc))}"
        defaults, values = given, own or {}
    return f"{where}: {reason(error)}{_suggest_field(loc) if first['type'] == 'extra_forbidden' else ''}"


def _suggest_field(loc: Sequence[str | int]) -> str:
    """Return a hint at the field that an unknown one may stand for; empty when none is similar."""
    fields = GenerationOptions.model_fields if loc[0] == "options" else TaskSpec.model_fields
    near = nearest(str(loc[-1]), fields, most=1)
    return f"; did you mean {near[0]}?" if near else ""


def _decode_argument(argument: str) -> str:
    """Return an argument that the locale could not decode, decoded as UTF-8."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return os.fsencode(argument).decode("utf-8", "replace")
    return argument


def from_stream(
    stream: BinaryIO, defaults: Mapping[str, Any], name: str = "<stdin>"
) -> tuple[list[TaskSpec], list[str]]:
    """Return a task for each line that is not blank, and each one's origin, such as `<stdin>, line 3`.

    If the first of them begins with `{`, every line is a JSON object with the fields of `TaskSpec`, and `defaults`
    are for those it leaves out; otherwise every line is a prompt. UTF-8, lines of at most 4 MiB.

    Raises:
        UsageError: a line is invalid, with its number and the reason; or there is no task.
    """
    specs: list[TaskSpec] = []
    origins: list[str] = []
    as_json: bool | None = None
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"{name}, line {number}"
        line = _decode_line(raw, where, first=number == 1)
        if not line:
            continue
        if as_json is None:
            as_json = line.startswith("{")
        values = _parse_object(line, where) if as_json else {"prompt": line}
        try:
            specs.append(TaskSpec.model_validate(_merge(defaults, values)))
        except ValidationError as error:
            raise UsageError(_explain(error, where, defaults, values)) from None
        origins.append(where)
    if not specs:
        raise UsageError(f"{name}: there is no task in it")
    return specs, origins


def _decode_line(raw: bytes, where: str, *, first: bool) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise UsageError(f"{where}: longer than {MAX_LINE_BYTES >> 20} MiB")
    try:
        return raw.decode("utf-8-sig" if first else "utf-8").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 at byte {error.start + 1}") from None


def _parse_object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a number of too many digits, or too many brackets
        raise UsageError(one_line(f"{where}: not JSON: {error}", 200)) from None
    if not isinstance(found, dict):
        raise UsageError(f"{where}: not a JSON object")
    return found


def _merge(defaults: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with `defaults` for what they leave out, also within `options`."""
    merged = {**defaults, **values}
    options, own = defaults.get("options"), values.get("options")
    if isinstance(options, Mapping) and isinstance(own, Mapping):
        merged["options"] = {**options, **own}
    return merged
