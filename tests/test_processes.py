"""The helper of processes.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.processes import TextProcess


def python(code: str) -> TextProcess:
    pipe = subprocess.PIPE
    return TextProcess([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_lines_that_were_buffered_are_not_lost() -> None:
    process = python("import sys; sys.stdout.write(''.join(f'{n:099}\\n' for n in range(1000)))")
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(3)]
    out, err = process.communicate()
    assert [int(line) for line in (*first, *out.splitlines())] == list(range(1000))
    assert (err, process.returncode) == ("", 0)


def test_input_is_written_and_both_streams_are_read() -> None:
    process = python("import sys; text = sys.stdin.read(); print(text); print(len(text), file=sys.stderr)")
    assert process.communicate("x" * 100_000) == ("x" * 100_000 + "\n", "100000\n")


def test_a_process_that_goes_on_is_a_time_out() -> None:
    with python("import time; time.sleep(600)") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=0.05)
        process.kill()
