"""The end of a headless run, at moments that a test can't hit in another process."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from aios_tui.cli.runner import headless
from aios_tui.runtime.runtime import Runtime
from engine.errors import StoreError
from persistence import SqliteStore
from tests.aios_tui.cli.helpers import QUICK, Here


def interrupted_after(monkeypatch: pytest.MonkeyPatch, ended: int) -> None:
    """Have SIGINT come when `ended` tasks have ended, before any of them is reported."""

    async def follow(runtime: Runtime, pending: dict[int, Any], _report: object) -> None:
        runtime.kernel.resume()
        for task in list(pending)[:ended]:
            await runtime.kernel.wait(task)
        runtime.kernel.pause()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr(headless, "_follow", follow)


def test_what_ended_when_the_signal_came_is_reported_and_not_said_to_be_queued(
    cli: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_after(monkeypatch, 1)
    found = cli("run", "--core", QUICK + ",tps=50", "--json", "one", "two", "three")
    assert found.code == 130
    assert [task["prompt"] for task in found.tasks()] == ["one"]
    assert "1 done, 2 stay queued" in found.err


def test_a_disk_that_is_full_at_the_end_does_not_hide_the_interruption(
    cli: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = SqliteStore.close

    async def failing(store: SqliteStore) -> None:
        was_open = store._writer is not None
        await close(store)
        if was_open:
            raise StoreError("the disk is full; 1 record is lost")

    monkeypatch.setattr(SqliteStore, "close", failing)
    interrupted_after(monkeypatch, 0)
    found = cli("run", "--core", QUICK, "--json", "one")
    assert found.code == 130
    assert "1 record is lost" in found.err


def test_a_disk_that_is_full_at_the_end_is_no_mistake_of_usage(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    close = SqliteStore.close

    async def failing(store: SqliteStore) -> None:
        was_open = store._writer is not None
        await close(store)
        if was_open:
            raise StoreError("the disk is full; 1 record is lost")

    monkeypatch.setattr(SqliteStore, "close", failing)
    found = cli("run", "--core", QUICK, "--json", "one")
    assert found.code == 1
    assert [task["state"] for task in found.tasks()] == ["done"]
    assert "1 record is lost" in found.err
