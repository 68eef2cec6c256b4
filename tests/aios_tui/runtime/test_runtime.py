"""A session that is closed at an awkward moment lets go of everything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aios_tui.config.settings import Settings
from aios_tui.runtime import runtime as composition
from aios_tui.runtime.runtime import Runtime
from engine.cores.factory import CoreChoice
from engine.cores.scripted import ScriptedCore
from engine.errors import AiosError, StoreError
from engine.events import AttemptStarted
from engine.task import TaskSpec
from tests.waiting import PATIENCE_S


def session_in(folder: Path, core: str = "scripted:ttft=3600") -> Runtime:
    return Runtime(Settings(db=folder / "h.db", core=core, agents_folder=folder, themes_folder=folder))


async def test_closed_twice_at_once_it_keeps_what_ran(tmp_path: Path) -> None:
    runtime = session_in(tmp_path)
    await runtime.open()
    await runtime.start()
    subscription = runtime.kernel.subscribe()
    task = await runtime.kernel.submit(TaskSpec(prompt="long"))
    async for event in subscription:
        if isinstance(event, AttemptStarted):
            break
    await asyncio.gather(runtime.close(drain_s=600), runtime.close())

    again = session_in(tmp_path)
    await again.open()
    recovery = await again.start(paused=True)
    assert [each.id for each in recovery.queued] == [task]
    assert not recovery.interrupted, "it was put back in order"
    await again.close()


class StoppedCore(ScriptedCore):
    stops = 0

    async def stop(self, *, drain_s: float) -> None:
        self.stops += 1
        await super().stop(drain_s=drain_s)


async def test_closed_while_it_looks_for_a_core_it_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer, core = asyncio.Event(), asyncio.Event(), StoppedCore()

    async def choose(*_: object, **__: object) -> list[CoreChoice]:
        asked.set()
        await answer.wait()
        return [CoreChoice(core, "found")]

    monkeypatch.setattr(composition, "choose_cores", choose)
    runtime = session_in(tmp_path)
    await runtime.open()
    starting = asyncio.create_task(runtime.start(recover=False))
    await asked.wait()
    await runtime.close()
    answer.set()
    with pytest.raises(AiosError):
        await asyncio.wait_for(starting, PATIENCE_S)
    assert core.stops


async def test_closed_while_the_kernel_starts_it_stops_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, look, core = asyncio.Event(), asyncio.Event(), StoppedCore()
    inspect = core.inspect

    async def slowly() -> object:
        looked.set()
        await look.wait()
        return await inspect()

    async def choose(*_: object, **__: object) -> list[CoreChoice]:
        return [CoreChoice(core, "found")]

    monkeypatch.setattr(core, "inspect", slowly)
    monkeypatch.setattr(composition, "choose_cores", choose)
    runtime = session_in(tmp_path)
    await runtime.open()
    starting = asyncio.create_task(runtime.start())
    await looked.wait()
    await runtime.close()
    assert core.stops == 1
    look.set()
    with pytest.raises(AiosError):
        await asyncio.wait_for(starting, PATIENCE_S)


async def test_a_history_that_does_not_close_well_keeps_nothing_else_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = session_in(tmp_path)
    await runtime.open()
    await runtime.start()
    closed = []
    close_store, close_history = runtime.store.close, runtime.history.close

    async def failing() -> None:
        await close_store()
        raise StoreError("the disk is full; 1 record is lost")

    async def noted() -> None:
        closed.append("history")
        await close_history()

    monkeypatch.setattr(runtime.store, "close", failing)
    monkeypatch.setattr(runtime.history, "close", noted)
    monkeypatch.setattr(runtime.telemetry, "close", lambda: closed.append("telemetry"))
    with pytest.raises(StoreError, match="1 record is lost"):
        await runtime.close()
    assert closed == ["history", "telemetry"]
