"""Plain English, kept: words and openings that we replaced do not come back.

The patterns are the old dialect: sentences without a verb in front, words that stand for no term of the field, and
private names that say nothing. Add a word when you replace it everywhere; docs/glossary.md has the terms to use.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".py", ".md", ".toml", ".tcss", ".yaml", ""}
EXEMPT = {"tests/test_wording.py", "LICENSE"}

WORDS = re.compile(
    r"\b(told|tells|anew|that of|for want of|such as are|nothing waits|not well)\b",
    re.IGNORECASE,
)
NAMES = re.compile(r"\b(_judge|_settle|_hear|_let_go|_go_on|_tells|_told|_kept|mark\(\)|mine\(\)|typed\(\))(?!\w)")
OPENING = re.compile(r"^\s*r?\"\"\"(What|Whether|How|Where|Why|That|Such|Of|Some)\b")
"""The first line of a docstring."""
PATTERNS = (WORDS, NAMES, OPENING)


def tracked() -> list[Path]:
    try:
        done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a checkout with git")
    return [Path(line) for line in done.stdout.splitlines()]


def findings(path: Path) -> list[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return [
        f"{path}:{number}: {match.group(0).strip()!r}"
        for number, line in enumerate(text.splitlines(), start=1)
        for pattern in PATTERNS
        if (match := pattern.search(line))
    ]


def folder_of(path: Path) -> str:
    """Two levels deep, which is about what one person works on; top-level files are `.`."""
    return "/".join(path.parts[:-1][:2]) or "."


def all_findings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in tracked():
        if path.suffix in SUFFIXES and str(path) not in EXEMPT and (ROOT / path).is_file():
            found[folder_of(path)] += findings(path)
    return {folder: lines for folder, lines in found.items() if lines}


def test_the_old_dialect_stays_away() -> None:
    left = [line for lines in all_findings().values() for line in lines]
    assert not left, "\n".join(["use the terms of docs/glossary.md:", *left])


def test_it_finds_what_it_looks_for() -> None:
    assert WORDS.search("is told") and NAMES.search("self._settle(x)") and not NAMES.search("_settled")
    assert OPENING.search('    """What it is."""') and not OPENING.search('"""Whatever."""')


if __name__ == "__main__":
    for folder, lines in sorted(all_findings().items()):
        print(f"{len(lines):5} {folder}")
