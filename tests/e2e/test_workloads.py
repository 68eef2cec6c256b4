"""Recording, replaying and comparing in the real program, in a real terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e
QUICK = ("--core", "scripted:ttft=0,tps=0,tokens=5")


def test_a_session_is_recorded_replayed_and_compared_and_the_runs_are_there_next_time(tmp_path: Path) -> None:
    with Terminal(*QUICK, home=tmp_path) as console:
        console.until("● scripted")
        console.press("R")
        console.until("● REC")
        for count, line in enumerate(("!7 first", "!1 second"), 1):
            console.press("i", line)
            console.until(line)
            console.press("enter")
            console.until(f"{count} done")
            console.press("escape")
            console.until("n new")
        console.until(lambda screen: screen.splitlines()[0].partition("session-")[2].split()[1:2] == ["2"], "REC … 2")
        console.press("R")
        console.until("recorded 2 tasks")
        console.press("w")
        console.until("aios-five")
        console.until("session-")
        console.press("G")
        console.until("follows the file's 1 policy switch")
        console.press(">", ">", ">")
        console.until("speed     max")
        console.press("enter")
        console.until("ended: 2 tasks in")
        console.press("w")
        console.until("aios-five")
        console.press("G")
        console.until("v simulate")
        console.press("v")
        console.until("C npps:60")
        console.press("escape")
        console.until("v simulate")
        console.press("escape")
        console.until("n new")
        console.press("q")
        assert console.ended() == 0
    (recording,) = tmp_path.rglob("session-*.jsonl")
    rows = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines()]
    tasks = [(row["prompt"], row["priority"]) for row in rows if row["kind"] == "task"]
    assert tasks == [("first", 7), ("second", 1)]
    assert recording.stat().st_mode & 0o077 == 0
    with Terminal(*QUICK, home=tmp_path, columns=80, rows=24) as console:
        console.until("● scripted")
        console.press("c")
        console.until("C npps:ageing=60")
        console.until(lambda screen: sum("session-" in line for line in screen.splitlines()) >= 4, "four runs")
        console.until(" live")
        console.press("2")
        console.until("makespan s")
        console.press("escape")
        console.until("n new")
        console.press("q")
        assert console.ended() == 0
