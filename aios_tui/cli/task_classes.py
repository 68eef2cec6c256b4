"""Classes of synthetic tasks on the command line: `--class "share=0.2 priority=1 service=exp:1"`."""

from __future__ import annotations

from typing import Any

from engine.errors import UsageError
from engine.sanitise import one_line
from engine.task import LEAST_URGENT, MOST_URGENT
from engine.workloads.generate import Draw, TaskClass

_KEYS = ("share", "priority", "agent", "client", "model", "input", "output", "service")
_DRAWN = {"input": "input_tokens", "output": "output_tokens", "service": "service"}


def parse_class(text: str) -> TaskClass:
    """Parse pairs separated by spaces, each key at most once, such as `share=0.2 priority=1 service=exp:1`.

    Raises:
        UsageError: a key is unknown or repeated, or a value is invalid.
    """
    values: dict[str, Any] = {}
    for part in text.split():
        key, _, value = part.partition("=")
        if key not in _KEYS or not value or _DRAWN.get(key, key) in values:
            raise UsageError(f"--class: {one_line(part, 40)!r} is not a new KEY=VALUE; the keys are {', '.join(_KEYS)}")
        values[_DRAWN.get(key, key)] = _parse_value(key, value)
    return TaskClass(**values)


def _parse_value(key: str, text: str) -> Any:
    if key in _DRAWN:
        return Draw(text)
    if key == "priority":
        if not (text.isdecimal() and MOST_URGENT <= int(text) <= LEAST_URGENT):
            raise UsageError(f"--class: priority {one_line(text, 20)!r} is not one of {MOST_URGENT} … {LEAST_URGENT}")
        return int(text)
    if key == "share":
        try:
            return float(text)
        except ValueError:
            raise UsageError(f"--class: share {one_line(text, 20)!r} is not a number") from None
    return one_line(text, 200)
