"""A task as a Markdown file."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aios_tui.console.screens.export import write_export
from aios_tui.console.state.task_details import page_of
from aios_tui.console.state.task_markdown import fenced, markdown_of
from aios_tui.console.state.view_state import ViewState
from engine.cores.port import ToolCall
from engine.errors import UsageError
from tests.aios_tui.console import sample_tasks

AT = datetime(2026, 3, 14, 14, 2, 30)


def exported(facts: sample_tasks.Facts) -> str:
    page = page_of(facts.record.id, ViewState(), facts)
    assert page is not None
    return markdown_of(page, AT)


def test_everything_is_in_it() -> None:
    text = exported(sample_tasks.story())
    for part in (
        "# Task 7: story\\_teller, done",
        "- waited: 5.70 s",
        "- tokens: 120 in, 360 out",
        "- rounds: 3/3",
        "## Prompt\n\n```text\nTell me a story about geese.\n```",
        "## Round 2\n\n### Its prompt\n\n```text\nWrite the story from this outline: A goose, a baker.\n```",
        "```text\nbroken_stream: the stream ended before its last record\n```",
        "Geese say honk. Bakers do not.",
        "# The goose of Kettleby",
        "Exported 2026-03-14 14:02:30 by aios-tui.",
    ):
        assert part in text
    assert text.count("# The goose of Kettleby") == 1
    assert "## Result" not in text


def test_what_failed_says_why() -> None:
    text = exported(sample_tasks.failed())
    assert "# Task 8: story\\_teller, failed" in text
    assert "## Error\n\n```text\nmodel 'qwen3:9b' not found; installed: qwen3:8b\n```" in text


def test_nothing_in_it_steers_a_terminal() -> None:
    text = exported(sample_tasks.hostile())
    assert not any(character in text for character in "\x1b\x07\u202e")
    assert "\\[/foo\\]" in text


@given(st.text(alphabet="`a\n~", max_size=60))
def test_a_text_cannot_end_its_block(text: str) -> None:
    lines = fenced(text).split("\n")
    fence = lines[0].removesuffix("text")
    assert lines[-1] == fence
    assert set(fence) == {"`"}
    assert not any(line.strip().startswith(fence) for line in lines[1:-1])


def test_files_are_private_and_never_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "task.md"
    write_export(path, "one", overwrite=False)
    with pytest.raises(FileExistsError):
        write_export(path, "two", overwrite=False)
    assert path.read_text() == "one"
    path.chmod(0o644)
    write_export(path, "three", overwrite=True)
    assert path.read_text() == "three"
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["task.md"]


def test_a_link_is_not_followed_to_what_it_hides(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "task.md").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        write_export(tmp_path / "task.md", "x", overwrite=False)
    write_export(tmp_path / "task.md", "x", overwrite=True)
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "reported"), [("", "is a folder"), ("no/such/task.md", "can't be written"), ("a\0b", "can't")]
)
def test_what_cannot_be_written_is_said_in_a_line(tmp_path: Path, name: str, reported: str) -> None:
    for overwrite in (False, True):
        with pytest.raises(UsageError, match=reported) as caught:
            write_export(tmp_path / name, "x", overwrite=overwrite)
        assert "\n" not in str(caught.value)


def test_calls_of_tools_are_in_it() -> None:
    attempt = sample_tasks.Attempt(reply="", tool_calls=(ToolCall("look_up", {"city": "Brno"}),))
    text = exported(sample_tasks.Facts(sample_tasks.record(rounds=1), (attempt,), round_total=1))
    assert '```text\nasks for look_up (city: "Brno")\n```' in text
