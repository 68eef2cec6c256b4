"""Checks the arguments of tool calls: JSON that can be sent back, stored and shown."""

from __future__ import annotations

import math
from typing import Any

DEPTH_CAP = 64


def check_json(value: Any) -> None:
    """Raise ValueError for a value that can't be written as JSON again: NaN, infinity (1e999), nesting too deep."""
    level, depth = [value], 0
    while level:
        if depth > DEPTH_CAP:
            raise ValueError(f"it is nested deeper than {DEPTH_CAP} levels")
        below: list[Any] = []
        for each in level:
            if isinstance(each, float) and not math.isfinite(each):
                raise ValueError("a number in it is not finite")
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
        level, depth = below, depth + 1
