"""A real terminal for the real program: pexpect runs it on a pty, pyte keeps the screen that a person would see."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "ctrl+s": "\x13",
    "ctrl+c": "\x03",
}


def environment(home: Path) -> dict[str, str]:
    """The environment of a new user: an own home, a plain terminal, no settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIOS_TUI_", "XDG_", "OLLAMA_"))}
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS", "CI", "COLUMNS", "LINES"):
        kept.pop(name, None)
    return kept | {
        "HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "OLLAMA_HOST": "127.0.0.1:9",  # nothing listens there
    }


class Terminal:
    """The program in a terminal of `columns` × `rows`; use as a context manager, which leaves nothing running."""

    def __init__(self, *arguments: str, home: Path, columns: int = 120, rows: int = 40) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            sys.executable,
            ["-m", "aios_tui", *arguments],
            env=environment(home),
            cwd=str(home),
            dimensions=(rows, columns),
            timeout=PATIENCE_S,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError, pexpect.ExceptionPexpect):  # its terminal may be closed, its process gone
            self.child.close(force=True)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, *keys: str) -> None:
        """Send keys by name, anything else as it is."""
        for key in keys:
            self.child.send(KEYS.get(key, key))

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def until(self, condition: Callable[[str], bool] | str, what: str = "") -> str:
        """Read until the screen shows a text, or fulfils a condition; returns the screen. Fails with what it shows."""
        wanted: Callable[[str], bool] = condition if callable(condition) else (lambda screen: condition in screen)
        deadline = time.monotonic() + PATIENCE_S
        while not wanted(self.text):
            if time.monotonic() > deadline:
                raise AssertionError(f"the screen never showed {what or condition!r}:\n{self.text}")
            self._read(0.2)
        return self.text

    def ended(self) -> int:
        """Wait until the program has ended; returns its exit code, or minus the signal that ended it."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(0.2):
            if time.monotonic() > deadline:
                raise AssertionError(f"the program did not end:\n{self.text}")
        self.child.wait()
        return -self.child.signalstatus if self.child.signalstatus else int(self.child.exitstatus or 0)

    def hang_up(self) -> None:
        """Close the terminal under the program."""
        os.close(self.child.fileno())

    def gone(self) -> bool:
        """Wait for the end of the program; kill it and return False if it does not come."""
        process = self.child.pid
        assert process is not None
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if os.waitpid(process, os.WNOHANG)[0]:
                return True
            time.sleep(0.05)
        os.kill(process, signal.SIGKILL)
        return False

    def _read(self, wait_s: float) -> bool:
        """Feed what has come to the screen; False once the program has closed its terminal."""
        try:
            data = self.child.read_nonblocking(65536, timeout=wait_s)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True


def counts(home: Path, database: Path) -> Mapping[str, int]:
    """Count the history's tasks by state, from another process than the one that wrote them."""
    import sqlite3

    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM tasks GROUP BY state"))
