"""Columns stay straight whatever text comes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aios_tui.console.widgets.cells import cell_len, fit, plain, wrap, wrap_tail
from engine.sanitise import sanitise

HARD = (
    "👩‍👩‍👧",
    "🇩🇪",
    "🇩",
    "👍🏽",
    "❤️",
    "e\u0301",
    "日本",
    "שלום",
    "ก็ำ",
    "क्षि",
    "\u200d",
    "\ufe0f",
    "ＷＩＤＥ",
    "각",
    "\u0301",
    "a\u0300\u0301\u0302\u0303",
)
texts = st.text() | st.lists(st.sampled_from([*HARD, "a", " ", "\n", "\t", "\x1b[2J", "\u202e"])).map("".join)


@given(texts, st.integers(0, 60), st.booleans())
@example("👩‍👩‍👧" * 10, 7, False)
def test_a_fitted_text_has_exactly_its_width(text: str, width: int, right: bool) -> None:
    fitted = fit(text, width, right)
    assert cell_len(fitted) == width
    assert sum(cell_len(character) for character in fitted) == width  # no terminal may join what we counted apart
    assert "\n" not in fitted and sanitise(fitted) == fitted


@given(texts, st.integers(1, 40))
def test_wrapped_lines_fit_and_lose_no_word(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= max(width, 2) for line in lines)
    assert "".join("".join(lines).split()) == "".join("".join(plain(line) for line in text.split("\n")).split())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("👩‍👩‍👧 x", "👩 x"),
        ("🇩🇪", "DE"),
        ("👍🏽!", "👍!"),
        ("❤\ufe0f", "❤"),
        ("tab\there\nthere", "tab here there"),
        ("zero\u200bwidth\u00ad", "zerowidth"),
        ("z\u0301\u0302\u0303\u0304", "z\u0301\u0302"),
        ("\u0301start", "start"),
        ("\x1b]52;c;aGk=\x07", "\ufffd]52;c;aGk=\ufffd"),
    ],
)
def test_what_terminals_disagree_about_is_reduced(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_cut_text_ends_with_an_ellipsis_and_never_with_half_a_character() -> None:
    assert fit("hello world", 8) == "hello w…"
    assert fit("日本語です", 6) == "日本… "
    assert fit("12", 5, right=True) == "   12"


def test_the_tail_of_a_growing_text_keeps_its_lines() -> None:
    words = [f"word{n}" for n in range(3_000)]
    text, changes = "", 0
    shown: list[str] = []
    for word in words:
        text += word + " "
        tail = wrap_tail(text, 40, 6)
        if len(shown) == 6 and tail[:5] != shown[:5] and tail[:5] != shown[1:]:
            changes += 1
        shown = tail
    assert shown[-1].rstrip().endswith("word2999")
    assert changes <= len(text) // 512 + 1  # the wrapping moves only with a step


def test_the_tail_after_a_cut_is_the_tail_before_it() -> None:
    text = " ".join(str(n) for n in range(5_000))
    assert wrap_tail(text, 30, 5) == wrap_tail(text[10_000:], 30, 5, dropped=10_000)
