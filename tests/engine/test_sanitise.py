"""The sanitiser: nothing that steers a terminal or breaks storage gets through, and nothing else is touched."""

from __future__ import annotations

import sqlite3
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sanitise import REPLACEMENT, one_line, sanitise

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=[]))


@given(ANY_TEXT)
def test_nothing_dangerous_is_left(text: str) -> None:
    for character in sanitise(text):
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(character) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )
    sanitise(text).encode()
    sqlite3.connect(":memory:").execute("SELECT ?", (sanitise(text),))


def test_one_line_is_cut_to_500_characters_by_default() -> None:
    assert one_line("x" * 500) == "x" * 500
    assert one_line("x" * 501) == "x" * 499 + "…"


@given(ANY_TEXT, ANY_TEXT)
def test_a_stream_may_be_cleaned_piece_by_piece(first: str, second: str) -> None:
    assert sanitise(first) + sanitise(second) == sanitise(first + second)
    assert sanitise(sanitise(first)) == sanitise(first)
    assert len(sanitise(first)) == len(first)


@pytest.mark.parametrize(
    "text", ["plain", "tab\tand\nnewline", "日本語 한국어", "👩‍👩‍👧 🇩🇪 é é", "שלום مرحبا", "[/foo] [bold]"]
)
def test_what_people_write_is_untouched(text: str) -> None:
    assert sanitise(text) == text


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b]52;c;aGk=\x07",
        "\x1b[2J",
        "\x9b31m",
        "\x90q",
        "\u202eabc",
        "\ufeff",
        "\U000e0041",
        "\ud800",
        "\x7f",
        "\r",
        "\x00",
    ],
)
def test_what_steers_a_terminal_is_replaced(sequence: str) -> None:
    clean = sanitise(f"a{sequence}b")
    assert clean.startswith("a" + REPLACEMENT)
    assert clean.endswith("b")


@given(ANY_TEXT, st.integers(2, 50))
def test_one_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.splitlines() in ([], [line])
