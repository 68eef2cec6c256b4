"""Rules for the whole suite: signals, time limits, the embedded model's weights, the effort of property tests."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import pytest

from engine.cores.embedded import weights
from engine.cores.embedded.core import available
from tests import profiles

GRACE_S = float(os.environ.get("TEST_GRACE_S", "60"))
"""Seconds between pytest-timeout's limit, which fails one test, and the end of the process, which ends any hang."""

profiles.load()


def _stay_ignored(_number: int, _frame: FrameType | None) -> None:
    """A handler that does nothing."""


def restore_signals() -> None:
    """Give the processes that tests start the default signals, whatever this process was started with.

    Under `nohup`, after `make test &` in a script, and on some CI runners, SIGINT or SIGHUP is ignored. Children
    inherit that, and ctrl-C does nothing to them. A signal that has a handler is back at its default in a child: a
    handler that does nothing serves the children, and this process keeps ignoring what its starter had it ignore.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _stay_ignored)


restore_signals()  # at import: before any test, in every xdist worker

_dump_to = pytest.StashKey[int]()
_real_candidates = weights.candidates
_running: list[pytest.Item] = []


def _visible_candidates() -> list[Path]:
    """The places of the weights, none of them for a test that is not marked `embedded`."""
    if not _running or _running[0].get_closest_marker("embedded"):
        return _real_candidates()
    found = [path for path in _real_candidates() if path not in _installed]
    if _installed:
        _running[0].add_report_section("call", "weights", "hidden from this test: it is not marked `embedded`")
    return found


_installed = [path for path in _real_candidates() if path.is_file()]
weights.candidates = _visible_candidates


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_dump_to] = os.dup(2)  # pytest captures standard error while a test runs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the embedded model where there is none."""
    if reason := available():
        for item in items:
            if item.get_closest_marker("embedded"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the process, with the stacks of all threads, if a test outlives the limit that should have failed it.

    pytest-timeout raises in the main thread. Code that swallows that, or a property test that then runs its hanging
    example again, would hang for ever. Under xdist the lost worker counts as one failed test, and another takes over.
    """
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0] if marker and marker.args else item.config.getini("timeout"))
    _running[:] = [item]
    faulthandler.dump_traceback_later(limit + GRACE_S, exit=True, file=item.config.stash[_dump_to])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
        _running.clear()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Limit what follows a failure, too: pytest disarms faulthandler here, and the test's clean-up may hang."""
    if isinstance(node, pytest.Item):
        faulthandler.dump_traceback_later(GRACE_S, exit=True, file=node.config.stash[_dump_to])
