"""Counts and suggestions."""

from __future__ import annotations

from engine.wording import MAX_COMPARED, did_you_mean, nearest, plural


def test_counts_agree_with_their_noun() -> None:
    assert plural(1, "task") == "1 task"
    assert plural(0, "task") == "0 tasks"
    assert plural(1204, "switch", "switches") == "1,204 switches"


def test_near_names_are_suggested_and_otherwise_all_are_listed() -> None:
    assert did_you_mean("storyteller", ["story_teller", "chat"]) == "did you mean story_teller?"
    assert did_you_mean("x", ["chat", "art"]) == "known: art, chat"
    assert did_you_mean("x", []) == ""
    assert did_you_mean("q", [f"n{n:02}" for n in range(12)]).endswith("n09 …")


def test_only_the_first_characters_of_a_long_wrong_word_are_compared() -> None:
    assert nearest("n" * MAX_COMPARED + "z" * 1_000_000, ["n" * MAX_COMPARED]) == ["n" * MAX_COMPARED]
