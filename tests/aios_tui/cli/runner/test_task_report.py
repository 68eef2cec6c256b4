"""The report of `run`."""

from __future__ import annotations

import time

import pytest

from aios_tui.cli.runner.task_report import TaskReport
from engine.task import Task, TaskRecord, TaskSpec, TaskState


def test_the_duration_ends_with_the_last_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sending the last telemetry to a collector that is down takes 3 s more, which are not part of the run."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    report = TaskReport(total=1, as_json=False)
    now = 1.5
    report.add(TaskRecord.of(Task(1, TaskSpec(prompt="x"), 0.0, 5, state=TaskState.DONE)))
    now = 4.5
    report.finish()
    assert "1 done in 1.5 s" in capsys.readouterr().err
