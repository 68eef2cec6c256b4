"""Classes of made-up tasks, as the command line gives them."""

from __future__ import annotations

from typing import Any

from engine.errors import UsageError
from engine.sanitise import one_line
from engine.task import LEAST_URGENT, MOST_URGENT
from engine.workloads.generate import Draw, TaskClass

_KEYS = ("share", "priority", "agent", "client", "model", "input", "output", "service")
_DRAWN = {"input": "input_tokens", "output": "output_tokens", "service": "service"}


def parse_class(text: str) -> TaskClass:
    """Read `share=0.2 priority=1 service=exp:1`: pairs apart by spaces, each key at most once.

    Raises:
        UsageError: a key is none, or a value is not what it has to be.
    """
    values: dict[str, Any] = {}
    for part in text.split():
        key, _, value = part.partition("=")
        if key not in _KEYS or not value or _DRAWN.get(key, key) in values:
            told = one_line(part, 40)
            raise UsageError(f"--class: {told!r} is not a new KEY=VALUE; the keys are {', '.join(_KEYS)}")
        values[_DRAWN.get(key, key)] = _value(key, value)
    return TaskClass(**values)


def _value(key: str, text: str) -> Any:
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
