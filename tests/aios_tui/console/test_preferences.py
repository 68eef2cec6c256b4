"""Preferences are kept between runs; a broken file costs nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aios_tui.console.preferences import HISTORY_LENGTH, FormValues, Preferences, Remembered


def test_it_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "console.json"
    memory = Preferences(path)
    memory.update(theme="aios-light", form=FormValues(draft="two\nlines", agent="story_teller", priority=2, count=4))
    memory.add_history("@chat hello")
    again = Preferences(path).values
    assert again == memory.values
    assert (again.form.draft, again.form.count) == ("two\nlines", 4)
    assert again.history == ("@chat hello",)


def test_a_form_without_a_prompt_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    memory = Preferences(path)
    memory.update(theme="aios-light", form=FormValues(draft=" ", agent="story_teller", priority=2, count=4))
    assert memory.values.form.priority == 2
    assert Preferences(path).values == Remembered(theme="aios-light")


@pytest.mark.skipif(os.name == "nt", reason="modes of files are a Unix matter")
def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "console.json"
    Preferences(path).add_history("secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["console.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"form": {"priority": 77}}', b'{"theme": 3}', b"[" * 100_000, b'{"history": 1}'],
)
def test_a_broken_file_is_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "console.json"
    path.write_bytes(content)
    memory = Preferences(path)
    assert memory.values == Remembered()
    memory.update(theme="aios-light")
    assert Preferences(path).values.theme == "aios-light"


def test_fields_of_a_later_version_are_let_be(tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    path.write_text('{"theme": "aios-light", "novelty": {"x": 1}}')
    assert Preferences(path).values.theme == "aios-light"


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = Preferences(tmp_path / "file" / "console.json")
    memory.update(theme="aios-light")
    assert memory.values.theme == "aios-light"


def test_history_is_bounded_without_repeats() -> None:
    memory = Preferences()
    for number in range(HISTORY_LENGTH + 10):
        memory.add_history(f"line {number}")
    memory.add_history("line 100")
    history = memory.values.history
    assert len(history) == HISTORY_LENGTH
    assert history[-1] == "line 100"
    assert history.count("line 100") == 1


def test_control_characters_of_a_tampered_file_do_not_pass(tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    path.write_text('{"history": ["a\\u001b]0;x\\u0007b"]}')
    assert Preferences(path).values.history == ("a\ufffd]0;x\ufffdb",)
