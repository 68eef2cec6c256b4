"""The suite's own rules, of conftest.py: signals of children, hangs that end, weights that are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cores.embedded.core import available
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
DISPOSITIONS = f"import signal as s; print(*(s.getsignal(s.Signals[name]) is s.SIG_IGN for name in {NAMES}))"


def pytest_here(
    program: str, tmp_path: Path, *options: str, before: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest with this suite's conftest over a file that has `program`, after the statements `before`."""
    (tmp_path / "test_generated.py").write_text(program, encoding="utf-8")
    arguments = ["-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    arguments += [
        "-p",
        "no:schemathesis",
        "-p",
        "no:syrupy",
        "-c",
        str(ROOT / "pyproject.toml"),
        *options,
        str(tmp_path / "test_generated.py"),
    ]
    code = f"import sys, signal, pytest\n{before}\nsys.exit(pytest.main({arguments!r}))"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals here")
@pytest.mark.parametrize("workers", [["-p", "no:xdist"], ["-n", "1"]], ids=["alone", "xdist"])
def test_children_have_the_default_signals_under_nohup(tmp_path: Path, workers: list[str]) -> None:
    program = (
        "import subprocess, sys\n"
        "def test_it():\n"
        f"    out = subprocess.check_output([sys.executable, '-c', {DISPOSITIONS!r}], text=True)\n"
        "    assert out.split() == ['False'] * 4\n"
    )
    ignoring = "\n".join(f"signal.signal(signal.{name}, signal.SIG_IGN)" for name in NAMES)
    done = pytest_here(program, tmp_path, *workers, before=ignoring)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals here")
def test_an_ignored_signal_stays_ignored_by_the_suite(tmp_path: Path) -> None:
    program = "import os, signal\ndef test_it():\n    os.kill(os.getpid(), signal.SIGINT)\n"
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    done = pytest_here(program, tmp_path, "-p", "no:xdist", before=ignoring)
    assert done.returncode == 0, done.stdout + done.stderr


SWALLOWED = """
import time
def test_it():
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [["-p", "no:xdist"], ["-n", "1"]], ids=["alone", "xdist"])
def test_a_hang_that_swallows_its_time_limit_ends_with_the_stacks(tmp_path: Path, workers: list[str]) -> None:
    done = pytest_here(SWALLOWED, tmp_path, *workers, "-o", "timeout=0.5", TEST_GRACE_S="0.5")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_generated.py" in done.stderr and "in test_it" in done.stderr


@pytest.mark.slow
@pytest.mark.embedded
def test_only_marked_tests_find_the_weights(tmp_path: Path) -> None:
    program = (
        "import pytest\nfrom engine.cores.embedded import weights\n"
        "def test_unmarked(): weights.find()\n"
        "@pytest.mark.embedded\ndef test_marked(): weights.find()\n"
    )
    done = pytest_here(program, tmp_path, "-p", "no:xdist")
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "hidden from this test: it is not marked `embedded`" in done.stdout


@pytest.mark.skipif(available() is not None, reason="shows nothing where the weights are missing anyway")
@pytest.mark.slow
def test_marked_tests_are_skipped_without_weights(tmp_path: Path) -> None:
    program = "import pytest\n@pytest.mark.embedded\ndef test_it(): raise AssertionError\n"
    hidden = "import engine.cores.embedded.weights as w; w.PACKAGE = 'no_such_package'; w.FILE_NAME = 'none.gguf'"
    done = pytest_here(program, tmp_path, "-p", "no:xdist", before=hidden)
    assert "1 skipped" in done.stdout and "aios-tui models fetch" in done.stdout, done.stdout


@pytest.mark.slow
def test_the_default_handler_is_kept_where_nothing_is_ignored(tmp_path: Path) -> None:
    program = "import signal\ndef test_it(): assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    normal = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    done = pytest_here(program, tmp_path, "-p", "no:xdist", before=normal)
    assert done.returncode == 0, done.stdout + done.stderr
