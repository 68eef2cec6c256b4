"""The console outlives its terminal, and ends up with the terminal's size."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from pathlib import Path

import pytest
from textual.events import Resize
from textual.geometry import Size

from aios_tui.console.textual_internals.terminal_stream import (
    HangupSafeStream,
    with_current_size,
    writes_survive_hangup,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="the driver of POSIX systems")


@posix
def test_the_driver_still_takes_the_stream_that_is_replaced() -> None:
    driver = importlib.import_module("textual.drivers.linux_driver")
    source = inspect.getsource(driver.LinuxDriver)
    assert "self._file = sys.__stderr__" in source
    assert "WriterThread(self._file)" in source


def test_the_stream_is_replaced_only_while_the_console_runs() -> None:
    before = sys.__stderr__
    with writes_survive_hangup():
        assert type(sys.__stderr__).__name__ == HangupSafeStream.__name__
    assert sys.__stderr__ is before


@posix
def test_writes_after_a_hangup_go_to_the_null_device() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w", buffering=1) as pipe:
        stream = HangupSafeStream(pipe)
        assert stream.write("seen\n") == 5
        assert os.read(read_end, 100) == b"seen\n"
        os.close(read_end)
        for _ in range(100):
            assert stream.write("lost\n") == 5
            stream.flush()
        assert Path(f"/dev/fd/{pipe.fileno()}").resolve() == Path(os.devnull)


def test_a_resize_event_has_the_size_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("LINES", "30")
    late = with_current_size(Resize(Size(80, 24), Size(80, 24)))
    assert late.size == Size(90, 30)
    right = Resize(Size(90, 30), Size(90, 30))
    assert with_current_size(right) is right
