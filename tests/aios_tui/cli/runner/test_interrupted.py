"""Interrupted runs: signals, a closed output, a killed process, and `--resume` after them."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from engine.events import TaskAccepted, TaskHeld
from engine.task import TaskSpec
from persistence import SqliteStore
from tests.aios_tui.cli.helpers import ENDLESS, QUICK, Here, call, start, until
from tests.waiting import PATIENCE_S

TEN = [f"p{n}" for n in range(10)]


def states(folder: Path) -> Counter[str]:
    with sqlite3.connect(folder / "data" / "history.sqlite3") as connection:
        return Counter(state for (state,) in connection.execute("SELECT state FROM tasks"))


def running(folder: Path, *, after: int) -> subprocess.Popen[str]:
    """Start a `run` of TEN, ten a second, and return when the first `after` have ended."""
    process = start(folder, "run", "--core", "scripted:ttft=0,tps=40,tokens=4", "--json", *TEN)
    seen = iter(range(1, len(TEN) + 1))
    until(process, lambda _line: next(seen) == after)
    return process


def wait_for_stderr(process: subprocess.Popen[str], word: str) -> None:
    """Wait until the process has printed `word` to stderr."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"it ended and never printed {word!r}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_in_order_and_resume_finishes_the_rest(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = running(tmp_path, after=2)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert "interrupted: " in err
    assert "--resume" in err
    assert "Traceback" not in err
    reported = 2 + len(out.splitlines())
    assert states(tmp_path) == {"done": reported, "queued": 10 - reported}

    rest = call(tmp_path, "run", "--resume", "--core", QUICK, "--json")
    assert rest.code == 0
    assert [task["prompt"] for task in rest.tasks()] == [f"p{n}" for n in range(reported, 10)]
    assert [task["dispatch_order"] for task in rest.tasks()] == list(range(1, 11 - reported))
    assert states(tmp_path) == {"done": 10}


def test_resume_after_kill_9(tmp_path: Path) -> None:
    process = running(tmp_path, after=3)
    process.kill()
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL
    reported = 3 + len(out.splitlines())
    assert states(tmp_path)["done"] >= reported

    # What was left is not touched by a plain run, but by --resume.
    (other,) = call(tmp_path, "run", "--core", QUICK, "--json", "another").tasks()
    assert other["prompt"] == "another"
    rest = call(tmp_path, "run", "--resume", "--core", QUICK, "--json")
    assert rest.code == 0
    assert "left by an earlier run" in rest.err
    assert states(tmp_path) == {"done": 11}
    assert len(rest.tasks()) >= 10 - reported - 1, "all but what ended between its record and its line"
    again = call(tmp_path, "run", "--resume", "--core", QUICK, "--json")
    assert (again.code, again.out) == (0, "")
    assert "no tasks left" in again.err


def test_a_reader_that_leaves_ends_the_run_quietly(tmp_path: Path) -> None:
    process = running(tmp_path, after=1)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=PATIENCE_S) == 141
    assert "accepted" in err
    assert "Traceback" not in err
    assert "Broken" not in err
    left = states(tmp_path)
    assert left["queued"] > 0
    assert left["queued"] + left["done"] == 10


def test_help_into_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    process = start(tmp_path, "--help", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(timeout=PATIENCE_S)


def test_the_second_process_on_a_history_is_refused_in_one_line(tmp_path: Path) -> None:
    first = start(tmp_path, "run", "--core", ENDLESS, *TEN)
    wait_for_stderr(first, "accepted")
    second = call(tmp_path, "run", "--core", QUICK, "hi")
    assert second.code == 2
    assert second.out == ""
    assert "history.sqlite3 is in use by" in second.complaint
    assert str(first.pid) in second.complaint
    listed = call(tmp_path, "history", "list", "--json")
    assert listed.code == 0
    assert len(listed.tasks()) == 10
    checked = call(tmp_path, "doctor", "--json")
    database = next(line for line in checked.tasks() if line["check"] == "database")
    assert database["state"] == "ok"
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 130


def test_resume_leaves_held_tasks_alone_and_says_so(tmp_path: Path) -> None:
    asyncio.run(_leave_two(tmp_path, held=1))
    for left, results in (
        ("2 left by an earlier run, 1 of them held", 1),
        ("1 left by an earlier run, 1 of them held", 0),
    ):
        found = call(tmp_path, "run", "--resume", "--core", QUICK, "--json")
        assert (found.code, len(found.tasks())) == (0, results)
        assert left in found.err
    assert states(tmp_path) == {"queued": 1, "done": 1}


async def _leave_two(folder: Path, *, held: int) -> None:
    (folder / "data").mkdir()
    store = SqliteStore(folder / "data" / "history.sqlite3")
    await store.open()
    await store.commit([TaskAccepted(1.0, store.next_task_id(), TaskSpec(prompt="p")) for _ in range(2)])
    await store.commit([TaskHeld(2.0, held, True)])
    await store.close()


def test_resume_of_nothing_says_so(cli: Here) -> None:
    found = cli("run", "--resume", "--core", QUICK)
    assert (found.code, found.out) == (0, "")
    assert "no tasks left by an earlier run" in found.err


def test_a_task_interrupted_too_often_is_reported_as_failed(tmp_path: Path) -> None:
    limit = {"AIOS_TUI_MAX_ATTEMPTS": "1"}
    process = start(tmp_path, "--core", ENDLESS, "run", "b", env=limit)
    wait_for_stderr(process, "accepted")
    wait_for_attempt(tmp_path)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    found = call(tmp_path, "run", "--resume", "--core", QUICK, "--json", env=limit)
    assert found.code == 1
    (task,) = found.tasks()
    assert task["state"] == "failed"
    assert "interrupted" in task["error"]


def wait_for_attempt(folder: Path) -> None:
    """Until the history knows of an executing attempt."""
    with sqlite3.connect(folder / "data" / "history.sqlite3", timeout=PATIENCE_S) as connection:
        while not connection.execute("SELECT 1 FROM attempts WHERE state = 'executing'").fetchone():
            time.sleep(0.01)
