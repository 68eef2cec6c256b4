"""The exit codes, and their page."""

from __future__ import annotations

import re
from pathlib import Path

from aios_tui.cli import exit_codes

PAGE = Path(__file__).resolve().parents[3] / "docs" / "headless.md"


def test_the_page_lists_every_code() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert listed == {value for value in vars(exit_codes).values() if isinstance(value, int)}
