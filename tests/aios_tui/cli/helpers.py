"""Call the program, in this process, which is quick, or in one of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aios_tui.cli import main
from tests.processes import TextProcess
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]
QUICK = "scripted:ttft=0,tps=0,tokens=4"
ENDLESS = "scripted:ttft=3600"


STARTED: list[subprocess.Popen[str]] = []
"""Processes of the present test; the fixture `no_process_left` ends those that a failure left running."""


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str

    def tasks(self) -> list[dict[str, Any]]:
        """Return the tasks that `--json` printed, one per line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """Return the one error line, without the program's name."""
        lines = [line for line in self.err.splitlines() if line.startswith("aios-tui: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("aios-tui: ")


class Here:
    """Run commands in this process, with folders of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.db = folder / "data" / "history.sqlite3"
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        out, err = self._capfd.readouterr()
        code = left.value.code
        assert isinstance(code, int)
        return Result(code, out, err)


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which the program keeps everything under `folder`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIOS_TUI_", "OLLAMA", "XDG_"))}
    places = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    mine = {"PYTHONPATH": str(ROOT), "AIOS_TUI_DB": str(folder / "data" / "history.sqlite3")}
    return {**kept, **places, "HOME": str(folder), "OLLAMA_HOST": "127.0.0.1:9", **mine, **(more or {})}


def start(
    folder: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] | None = None,
    **options: Any,
) -> subprocess.Popen[str]:
    """Start `python -m aios_tui ARGUMENTS`, or `args`; the caller ends it."""
    pipe = subprocess.PIPE
    process = TextProcess(
        args or [sys.executable, "-m", "aios_tui", *arguments],
        **{"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, "cwd": folder, **options},
        env=environment(folder, env),
        text=True,
    )
    STARTED.append(process)
    return process


def call(folder: Path, *arguments: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Run `python -m aios_tui ARGUMENTS` to its end."""
    options: dict[str, Any] = {} if stdin is None else {"stdin": subprocess.PIPE}
    process = start(folder, *arguments, env=env, **options)
    out, err = process.communicate(stdin, timeout=PATIENCE_S)
    return Result(process.returncode, out, err)


def until(process: subprocess.Popen[str], seen: Callable[[str], bool]) -> str:
    """Read the process's stdout up to the first line of which `seen` is true; fails when it ends before."""
    assert process.stdout is not None
    for line in process.stdout:
        if seen(line):
            return line
    raise AssertionError(f"ended before: {process.stderr.read() if process.stderr else ''}")
