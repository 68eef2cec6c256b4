"""Files appear whole or not at all, and only their owner can read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.files import atomic_writer, write_private_text


def test_the_file_is_private_and_so_are_the_folders_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "notes.txt"
    write_private_text(path, "hello")
    assert path.read_text() == "hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_writer(path) as file:
        file.write(b"half of the ne")
        raise RuntimeError("the disk is full")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_without_overwrite_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    with pytest.raises(FileExistsError), atomic_writer(path, overwrite=False) as file:
        file.write(b"mine")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(FileExistsError):
        write_private_text(path, "mine", overwrite=False)


@pytest.mark.parametrize(("name", "reason"), [(".", "is a folder"), ("x" * 300, "too long"), ("a\0b", "null byte")])
def test_what_can_not_be_written_is_one_line_that_names_the_file(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        write_private_text(tmp_path / name, "hello")
    assert "\n" not in str(caught.value)
