"""Pasted text with escape sequences arrives as one paste."""

from __future__ import annotations

import importlib

import pytest
from textual import events
from textual._xterm_parser import XTermParser

from aios_tui.console.textual_internals.paste_parser import DRIVER, PasteParser, pastes_without_escapes

HOSTILE = "line1\rline2\r@chat #x\ttab \x1b[31mred\r\x1b\r\x1b[200~ \x1b[201 \x1b[A\x1b\x1b"
PASTED = "\x1b[200~" + HOSTILE + "\x1b[201~"


def events_of(parser: XTermParser, *reads: str) -> list[tuple[str, str]]:
    found = []
    for read in reads:
        for event in parser.feed(read):
            if isinstance(event, events.Paste):
                found.append(("paste", event.text))
            elif isinstance(event, events.Key):
                found.append(("key", event.key))
    return found


WANTED = [("key", "a"), ("paste", HOSTILE.replace("\x1b", "\ufffd")), ("key", "up"), ("key", "b")]


@pytest.mark.parametrize("cut", range(1, len(PASTED) + 4))
def test_a_paste_is_one_paste_and_no_keys_wherever_reads_are_cut(cut: int) -> None:
    data = f"a{PASTED}\x1b[Ab"
    assert events_of(PasteParser(), data[:cut], data[cut:]) == WANTED


def test_a_paste_that_comes_character_by_character() -> None:
    assert events_of(PasteParser(), *f"a{PASTED}\x1b[Ab") == WANTED


def test_two_pastes_and_an_empty_one() -> None:
    data = "\x1b[200~x\x1b[201~\x1b[200~\x1b[201~\x1b[200~\x1by\x1b[201~"
    assert [pair for pair in events_of(PasteParser(), data, "") if pair[1]] == [("paste", "x"), ("paste", "\ufffdy")]


def test_keys_outside_a_paste_are_unchanged() -> None:
    keys = "a\x1b[A\r\x1b[1;5C\x7f\x1bOP\x1b[201~"
    assert events_of(PasteParser(), keys) == events_of(XTermParser(), keys)


def test_the_driver_parses_with_it_while_the_console_runs() -> None:
    driver = importlib.import_module(DRIVER)
    with pastes_without_escapes():
        assert driver.XTermParser is PasteParser
    assert driver.XTermParser is XTermParser
