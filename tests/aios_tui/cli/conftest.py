from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aios_tui.cli.helpers import STARTED, Here, environment


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate()
    STARTED.clear()


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """The command line in this process, everything it keeps under `tmp_path`."""
    for key in list(os.environ):
        if key.startswith(("AIOS_TUI_", "OLLAMA", "XDG_")):
            monkeypatch.delenv(key)
    for key, value in environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    yield Here(tmp_path, monkeypatch, capfd)
