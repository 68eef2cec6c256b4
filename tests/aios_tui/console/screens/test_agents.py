"""The agents' screen by its keys, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.screen import Screen
from textual.widgets import OptionList, Static

from aios_tui.console.screens.agents import AgentsScreen
from engine.agents.catalogue import load_catalogue
from engine.events import Notice
from persistence.rows import AgentRow
from tests.aios_tui.console import scene
from tests.aios_tui.console.fake_runtime import FakeHistory, FakeKernel
from tests.aios_tui.console.helpers import opened, text


async def test_it_tells_what_each_agent_does_and_has_done() -> None:
    async with opened() as (app, pilot, runtime):
        assert isinstance(runtime.history, FakeHistory)
        runtime.history.by_agents["chat"] = AgentRow(agent="chat", tasks=3, done=2, failed=1, turnaround_s=1.5)
        await pilot.press("a")
        await pilot.pause()
        screen: Screen[Any] = app.screen
        assert isinstance(screen, AgentsScreen)
        options = screen.query_one(OptionList)
        names = [options.get_option_at_index(n).id for n in range(options.option_count)]
        assert names == runtime.agents.names()
        assert "3 tasks, 1 failed" in text(app)
        assert "2 done, 1 failed, 0 cancelled" in str(app.screen.query_one("#text", Static).content)
        seen = []
        for key in ("G", "g", "j", "k"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(options.highlighted)
        assert seen == [len(names) - 1, 0, 1, 0]
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen is app.main


async def test_a_changed_agent_shows_at_once_and_its_text_is_only_text(tmp_path: Path) -> None:
    async with opened() as (app, pilot, runtime):
        await pilot.press("a")
        await pilot.pause()
        (tmp_path / "b.toml").write_text('name = "bad"\ndescription = "[/foo]"\n[[round]]\nprompt = "[red]{prompt}"\n')
        runtime.agents.replace(load_catalogue(tmp_path)[0])
        assert isinstance(runtime.kernel, FakeKernel)
        runtime.kernel.subscription.put(Notice(scene.NOW, "info", "agents changed: bad"))
        await pilot.pause()
        app.bridge.flush()
        await pilot.pause()
        assert "bad" in text(app)
        await pilot.press("g")
        await pilot.pause()
        assert "[/foo]" in text(app)
        assert "[red]{prompt}" in text(app)
