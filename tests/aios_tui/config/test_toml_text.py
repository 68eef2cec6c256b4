"""Values of settings in TOML's spelling, and the defaults that docs/settings.md gives."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aios_tui.config.settings import Settings
from aios_tui.config.toml_text import toml_text

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


@pytest.mark.parametrize(
    "value", [True, False, 3, 0.5, [], ["a", 'b"c'], {}, {"a b": "c\nd", "e": [1, True]}, {"x": {"y": "ä"}}]
)
def test_what_is_shown_can_be_copied_into_the_file(value: Any) -> None:
    assert tomllib.loads(f"key = {toml_text(value)}")["key"] == value


def test_strings_are_bare_and_nothing_is_empty() -> None:
    assert (toml_text("fifo"), toml_text(None)) == ("fifo", "")


def test_the_page_has_the_defaults() -> None:
    given = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    paths = {"db": "history.sqlite3", **{f"{name}_folder": name for name in ("agents", "themes", "workloads")}}
    for key, field in Settings.model_fields.items():
        value = field.get_default(call_default_factory=True)
        if key in paths:
            assert given[key].startswith(f"`{paths[key]}` in the ")
            assert value.name == paths[key]
        else:
            assert given[key] == ("none" if value in (None, (), {}) else f"`{toml_text(value)}`")
