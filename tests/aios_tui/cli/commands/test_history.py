"""`aios-tui history`: results, their order, and messages when there are none."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.aios_tui.cli.helpers import QUICK, Here


@pytest.fixture
def past(cli: Here) -> Here:
    """A history of five tasks: 1–3 by chat, 4 by story_teller, 5 failed."""
    assert cli("run", "--core", QUICK, "the goose", "the baker", "a goose and a baker").code == 0
    assert cli("run", "--core", QUICK, "--agent", "story_teller", "a [/red]winter[/] \x1b[31mtale").code == 0
    assert cli("run", "--core", "scripted:fail=1", "this fails").code == 1
    return cli


def ids(cli: Here, *arguments: str) -> list[int]:
    found = cli("history", *arguments, "--json")
    assert found.code == 0
    return [task["id"] for task in found.tasks()]


def test_list_and_its_filters(past: Here) -> None:
    assert ids(past, "list") == [5, 4, 3, 2, 1]
    assert ids(past, "list", "--limit", "2") == [5, 4]
    assert ids(past, "list", "--state", "failed") == [5]
    assert ids(past, "list", "--agent", "story_teller") == [4]
    assert ids(past, "list", "--since", "1h") == [5, 4, 3, 2, 1]
    assert ids(past, "list", "--since", "2099-01-01") == []
    assert ids(past, "list", "--until", "1h") == []
    lines = past("history", "list").out.splitlines()
    assert len(lines) == 6
    assert lines[0].split() == ["id", "submitted", "state", "agent", "pri", "took", "prompt"]
    assert "[/red]winter[/] \ufffd[31mtale" in lines[2]


def test_search(past: Here) -> None:
    assert sorted(ids(past, "search", "goose")) == [1, 3]
    assert ids(past, "search", "goose", "bak") == [3]
    assert ids(past, "search", "goose", "--limit", "1") != []
    found = past("history", "search", "nothing-like-it")
    assert (found.code, found.out) == (0, "")
    assert "no task found" in found.err


def test_show(past: Here) -> None:
    found = past("history", "show", "4")
    assert found.code == 0
    assert [line for line in found.out.splitlines() if line.startswith("──")] == [
        line for line in found.out.splitlines() if "attempt 1: done on scripted/0" in line
    ]
    assert found.out.count("── round") == 3
    assert "retries" not in found.out, "three rounds are no retries"
    assert "\x1b" not in found.out
    detail = json.loads(past("history", "show", "4", "--json").out)
    assert detail["record"]["id"] == 4
    assert [attempt["round"] for attempt in detail["attempts"]] == [1, 2, 3]
    assert "this prompt fails" in past("history", "show", "5").out
    missing = past("history", "show", "99")
    assert missing.code == 1
    assert missing.complaint == "there is no task 99"


def test_export(past: Here, tmp_path: Path) -> None:
    assert ids_of(past("history", "export").out) == [1, 2, 3, 4, 5]
    assert ids_of(past("history", "export", "--state", "failed").out) == [5]
    target = tmp_path / "out.jsonl"
    assert "5 tasks written" in past("history", "export", "--output", str(target)).err
    assert ids_of(target.read_text()) == [1, 2, 3, 4, 5]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    again = past("history", "export", "--output", str(target))
    assert again.code == 2
    assert "exists already" in again.complaint


def ids_of(lines: str) -> list[int]:
    return [json.loads(line)["id"] for line in lines.splitlines()]


def test_without_a_history(cli: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = cli("history", "list")
    assert named.code == 2
    assert "no history at" in named.complaint
    monkeypatch.delenv("AIOS_TUI_DB")
    default = cli("history", "list")
    assert (default.code, default.out) == (0, "")
    assert "no history yet" in default.err
    assert not any(tmp_path.rglob("*.sqlite3")), "reading makes nothing"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["list", "--since", "yesterday"], "yesterday"),
        (["list", "--limit", "0"], "--limit"),
        (["list", "--state", "gone"], "gone"),
        (["show", "one"], "one"),
        (["search"], "WORDS"),
        (["lst"], "lst"),
    ],
)
def test_mistakes(cli: Here, arguments: list[str], word: str) -> None:
    found = cli("history", *arguments)
    assert found.code == 2
    assert word in found.complaint


def test_a_file_that_is_no_history(cli: Here, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("not a database at all, but long enough to look like a file of some kind\n" * 20)
    for command in (["history", "list"], ["run", "--core", QUICK, "hi"]):
        found = cli("--db", str(other), *command)
        assert found.code == 2
        assert str(other) in found.complaint
    assert other.read_text().startswith("not a database")


def test_a_folder_in_place_of_a_history_is_reported_once(cli: Here, tmp_path: Path) -> None:
    found = cli("run", "--core", QUICK, "--db", str(tmp_path), "hi")
    assert found.code == 2
    assert found.complaint.count("be opened") == 1
    assert "check that it is a file" in found.complaint


def test_show_counts_retries(cli: Here) -> None:
    assert cli("run", "--core", QUICK, "hi").code == 0
    with sqlite3.connect(cli.db) as raw:
        raw.execute("UPDATE attempts SET attempt = 3")
    assert "priority 5, retries 1, " in cli("history", "show", "1").out


def test_metrics(past: Here) -> None:
    found = past("history", "metrics", "--since", "1h", "--json")
    assert found.code == 0
    measured = json.loads(found.out)
    whole = measured["all"]
    assert (whole["ended"], whole["done"], whole["failed"]) == (5, 4, 1)
    tasks = [shown(past, number) for number in range(1, 6)]
    assert whole["started"] == sum(len(task["attempts"]) for task in tasks)
    assert whole["tokens"] == pytest.approx(sum(task["record"]["tokens_out"] for task in tasks))
    assert measured["slots"] == 1
    assert 0 < measured["running_s"] < 3600, "three programs ran, and have ended"
    assert 0 < whole["utilisation"] <= 1
    assert {len(curve) for curve in whole["curves"].values()} == {60}
    assert whole["curves"]["queue"][0] is None, "nothing ran an hour ago"
    assert list(measured["by_priority"]) == ["5"]
    lines = past("history", "metrics").out.splitlines()
    assert lines[0].split()[:4] == ["ended", "done", "failed", "cancelled"]
    assert [line.split()[:2] for line in lines[1:]] == [["all", "5"], ["priority", "5"]]
    nothing = past("history", "metrics", "--since", "2h", "--until", "1h")
    assert nothing.out.splitlines()[1].split() == ["all", "0", "0", "0", "0", *"------"]
    assert "the program ran for 0.00 s" in nothing.err
    refused = past("history", "metrics", "--since", "1h", "--until", "2h")
    assert (refused.code, "before --until" in refused.err) == (2, True)


def shown(past: Here, task: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(past("history", "show", str(task), "--json").out)
    return found


def test_took_is_from_first_start_to_end_everywhere(past: Here) -> None:
    with sqlite3.connect(past.db) as raw:  # it waited 30 s, and ran for 12
        raw.execute(
            "UPDATE tasks SET started_at = submitted_at + 30, ended_at = submitted_at + 42, waiting_s = 30,"
            " turnaround_s = 42 WHERE id = 1"
        )
    raw.close()
    assert " · waited 30.0 s, took 12.0 s · " in past("history", "show", "1").out.splitlines()[0]
    (row,) = [line for line in past("history", "list").out.splitlines() if line.startswith("     1 ")]
    assert "  12.0 s  the goose" in row


def test_metrics_as_json_have_no_noise(past: Here) -> None:
    measured = json.loads(past("history", "metrics", "--json").out)
    whole = measured["all"]
    assert isinstance(whole["tokens"], int) and whole["tokens"] > 0
    seconds = [measured["since"], measured["until"], measured["running_s"], whole["busy_s"]]
    assert seconds == [round(value, 3) for value in seconds]
    figures = [value for curve in whole["curves"].values() for value in curve if value is not None]
    figures += [whole[name] for name in whole["curves"] if whole[name] is not None]
    assert figures
    assert figures == [float(f"{value:.6g}") for value in figures]


def test_metrics_know_whether_the_newest_program_still_runs(past: Here) -> None:
    """A run without an end whose process is gone was killed: it did not run up to now."""
    with sqlite3.connect(past.db) as raw:
        raw.execute("UPDATE runs SET ended_at = NULL, pid = 999999999 WHERE id = (SELECT max(id) FROM runs)")
    raw.close()
    dead = json.loads(past("history", "metrics", "--json").out)
    with sqlite3.connect(past.db) as raw:
        raw.execute("UPDATE runs SET pid = ? WHERE id = (SELECT max(id) FROM runs)", (os.getpid(),))
    raw.close()
    alive = json.loads(past("history", "metrics", "--json").out)
    assert alive["running_s"] > dead["running_s"]
