"""Access keys are looked up in the environment and the file; no error message shows one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.cores.api_keys import find_key, redact
from engine.errors import UsageError

KEY = "gsk_4f1c9b7e2a5d8036"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.touch(0o600)
    path.write_text(f'# mine\nGROQ_API_KEY = "{KEY}"\nNUMBER = 7\nBAD = "two words"\n', encoding="utf-8")
    return path


def test_the_environment_comes_before_the_file(file: Path) -> None:
    assert find_key("GROQ_API_KEY", environ={"GROQ_API_KEY": " from-env "}, file=file) == "from-env"
    assert find_key("GROQ_API_KEY", environ={"GROQ_API_KEY": "  "}, file=file) == KEY
    assert find_key("GROQ_API_KEY", environ={}, file=file) == KEY


def test_there_may_be_none(file: Path, tmp_path: Path) -> None:
    assert find_key(None, environ={"": "x"}, file=file) is None
    assert find_key("HF_TOKEN", environ={}, file=file) is None
    assert find_key("HF_TOKEN", environ={}, file=None) is None
    assert find_key("HF_TOKEN", environ={}, file=tmp_path / "none.toml") is None


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(UsageError, match=f"chmod 600 {file}") as caught:
        find_key("GROQ_API_KEY", environ={}, file=file)
    assert KEY not in str(caught.value)
    assert find_key("GROQ_API_KEY", environ={"GROQ_API_KEY": "k"}, file=file) == "k"  # it is not even looked at


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"GROQ_API_KEY = {KEY}\n", "is not TOML"),
        (f"GROQ_API_KEY = '{KEY}\n", "is not TOML"),
        (f"{KEY}\n", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (f'GROQ_API_KEY = ["{KEY}"]\n', 'write GROQ_API_KEY = "…"'),
        (f'GROQ_API_KEY = "{KEY} {KEY}"\n', "GROQ_API_KEY is not a key"),
        (f'GROQ_API_KEY = "{KEY}\\nX"\n', "GROQ_API_KEY is not a key"),
        ('GROQ_API_KEY = ""\n', "GROQ_API_KEY is not a key"),
        ("#" * 70_000, "larger than a file of keys"),
    ],
)
def test_what_is_wrong_is_told_without_the_key(file: Path, content: str | bytes, words: str) -> None:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as caught:
        find_key("GROQ_API_KEY", environ={}, file=file)
    said = str(caught.value)
    assert words in said
    assert str(file) in said
    assert "\n" not in said
    assert not any(KEY[i : i + 8] in said for i in range(len(KEY) - 7))
    assert caught.value.__cause__ is None


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the keys in"):
        find_key("HF_TOKEN", environ={}, file=tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing of it", "nothing of it"),
        (f"key {KEY}, key {KEY}.", "key [key], key [key]."),
        (f"{KEY}{KEY}", "[key]"),
        (f"starts with {KEY[:9]}… and ends with …{KEY[-8:]}", "starts with [key]… and ends with …[key]"),
        (f"short {KEY[:7]}", f"short {KEY[:7]}"),
        ("", ""),
    ],
)
def test_keys_are_cut_out_of_what_servers_say(text: str, expected: str) -> None:
    assert redact(text, KEY) == expected


def test_there_may_be_nothing_to_cut_out() -> None:
    assert redact("as it is", None) == "as it is"
    assert redact("short keys count too: abc", "abc") == "short keys count too: [key]"
