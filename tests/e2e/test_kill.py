"""`aios-tui run` killed with SIGKILL at random moments: what was accepted ends once, and only once.

Five histories, seven kills each. A kill comes while the program starts, when it has accepted its tasks, or some
way into its output, and then a random moment later. On a busy machine the program may be done before that: each time
it is, the core of the next ones is twice as slow, so the kills come on any machine.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.task import TaskState
from tests.aios_tui.cli.helpers import call, start
from tests.waiting import PATIENCE_S

HISTORIES, KILLS = 5, 7
BATCH = 24
MOST_STARTS = 20 * KILLS
CORE = "scripted:ttft={ttft},tps=2000,tokens=4,fail=0.1,slots=3"
TTFT_S, LONGEST_TTFT_S = 0.002, 1.0
LIMITS = {"AIOS_TUI_MAX_ATTEMPTS": "100"}


@dataclass
class History:
    """The output of all killed processes of one history."""

    folder: Path
    rng: random.Random
    ttft_s: float = TTFT_S
    kills: int = 0
    accepted: int = 0
    submitted: int = 0
    printed: dict[int, dict[str, Any]] = field(default_factory=dict)

    def run_and_kill(self) -> None:
        """Start a process on more tasks, or on those that were left, and kill it."""
        resumes = self.rng.random() < 0.3
        process = self._start(resumes)
        said = ""
        assert process.stderr is not None
        assert process.stdout is not None
        moment = self.rng.choice(["starting", "accepted", "output", "output", "output"])
        if moment == "starting":
            time.sleep(self.rng.uniform(0.0, 0.5))
        else:
            for line in process.stderr:
                said += line
                if "accepted" in line or "earlier run" in line:
                    break
        if moment == "output":
            for _ in range(self.rng.randrange(BATCH)):
                self._read(process.stdout.readline())
        time.sleep(self.rng.expovariate(1 / 0.005))
        process.kill()
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode in (-signal.SIGKILL, 0, 1), err
        if process.returncode == -signal.SIGKILL:
            self.kills += 1
        elif "accepted" in said + err:
            self.ttft_s = min(2 * self.ttft_s, LONGEST_TTFT_S)
        for line in out.splitlines(keepends=True):
            self._read(line)
        if f"{BATCH} accepted" in said + err:
            self.accepted += BATCH

    def _start(self, resumes: bool) -> subprocess.Popen[str]:
        core = CORE.format(ttft=self.ttft_s)
        if resumes:
            return start(self.folder, "run", "--resume", "--core", core, "--json", env=LIMITS)
        agent = self.rng.choice(["chat", "story_teller"])
        prompts = [f"p{self.submitted + n}" for n in range(BATCH)]
        self.submitted += BATCH
        policy = self.rng.choice(["fifo", "npps"])
        options = ("--core", core, "--agent", agent, "--policy", policy, "--json")
        return start(self.folder, "run", *options, *prompts, env=LIMITS)

    def _read(self, line: str) -> None:
        """Note a line of output; the kill may have cut the last one."""
        if not line.endswith("\n"):
            return
        task = json.loads(line)
        assert task["id"] not in self.printed, "an end was printed twice"
        self.printed[task["id"]] = task

    def finish(self) -> None:
        """Let a last process do what is left, unharmed."""
        rest = call(self.folder, "run", "--resume", "--core", CORE.format(ttft=TTFT_S), "--json", env=LIMITS)
        assert rest.code in (0, 1), rest.err
        for line in rest.out.splitlines(keepends=True):
            self._read(line)


@pytest.mark.e2e
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_every_accepted_task_ends_exactly_once(tmp_path: Path, seed: int) -> None:
    history = History(tmp_path, random.Random(seed))
    for _ in range(MOST_STARTS):  # some end before they are killed
        if history.kills < KILLS:
            history.run_and_kill()
    assert history.kills == KILLS
    history.finish()

    with sqlite3.connect(tmp_path / "data" / "history.sqlite3") as connection:
        connection.row_factory = sqlite3.Row
        tasks = connection.execute("SELECT * FROM tasks").fetchall()
        attempts = connection.execute("SELECT * FROM attempts").fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchall()[0][0] == "ok"

    # Nothing that was accepted is lost, and a batch is there as a whole or not at all.
    prompts = Counter(task["prompt"] for task in tasks)
    assert set(prompts.values()) <= {1}
    assert history.accepted <= len(tasks) <= history.submitted
    for first in range(0, history.submitted, BATCH):
        assert sum(f"p{n}" in prompts for n in range(first, first + BATCH)) in (0, BATCH)

    # Every one has ended, with all of its rounds, and what was printed of it is what is kept.
    assert {task["state"] for task in tasks} <= {TaskState.DONE, TaskState.FAILED}
    for task in tasks:
        assert task["ended_at"] is not None
        assert (task["state"] == TaskState.FAILED) == ("this prompt fails" in (task["error"] or ""))
        if task["state"] == TaskState.DONE:
            assert task["rounds"] == (3 if task["agent"] == "story_teller" else 1)
    kept = {task["id"]: task for task in tasks}
    for line in history.printed.values():
        for name in ("prompt", "state", "result", "error", "ended_at", "rounds"):
            assert line[name] == kept[line["id"]][name]

    # No attempt is left open, and no round was done twice within one start of its task.
    ended = {"done", "failed", "interrupted"}
    assert {attempt["state"] for attempt in attempts} <= ended
    done = Counter((a["task"], a["start"], a["round"]) for a in attempts if a["state"] == "done")
    assert set(done.values()) <= {1}
    again = call(tmp_path, "run", "--resume", "--core", CORE.format(ttft=TTFT_S), "--json", env=LIMITS)
    assert (again.code, again.out) == (0, "")


def test_enough_kills() -> None:
    """The number that the project promises."""
    assert HISTORIES * KILLS >= 30
