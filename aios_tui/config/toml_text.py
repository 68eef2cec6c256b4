"""Show values of settings as they are written in the settings file."""

from __future__ import annotations

import json
import re
from typing import Any


def toml_text(value: Any) -> str:
    """Return a value in TOML's spelling; a string without its quotes, None as an empty text."""
    if value is None or isinstance(value, str):
        return value or ""
    return _toml(value)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_key(key)} = {_toml(each)}" for key, each in value.items() if each is not None)
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else str(value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
