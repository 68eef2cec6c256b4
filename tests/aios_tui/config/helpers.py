"""Read settings, in tests."""

from __future__ import annotations

from typing import Any

from aios_tui.config.settings import Loaded, read_settings
from engine.errors import UsageError


def load_settings(options: dict[str, Any] | None = None, **given: Any) -> Loaded:
    """Like `read_settings`. Raises UsageError for the first invalid value."""
    loaded, problems = read_settings(options, **given)
    if problems:
        raise UsageError(problems[0])
    return loaded
