"""A runtime that serves: start, stop, and agents that are added while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from aios_tui.config.settings import Settings
from aios_tui.runtime import discovery
from aios_tui.runtime.served import ServedRuntime, open_sockets
from engine.errors import UsageError
from engine.events import Notice
from engine.kernel import Subscription
from tests.aios_tui.cli.helpers import QUICK, Here
from tests.waiting import PATIENCE_S

AGENT = 'name = "haiku"\n[[round]]\nprompt = "A haiku: {prompt}"\n'


@asynccontextmanager
async def runtime(folder: Path, *, http: bool = False) -> AsyncIterator[ServedRuntime]:
    settings = Settings(core=QUICK, db=folder / "h.sqlite3", agents_folder=folder / "agents", port=0)
    made = ServedRuntime(settings, open_sockets(settings) if http else None)
    try:
        await made.open()
        await made.start()
        yield made
    finally:
        await made.close()


async def notice(subscription: Subscription, words: str) -> Notice:
    """The next notice with these words."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in subscription:
            if isinstance(event, Notice) and words in event.text:
                return event
    raise AssertionError("the kernel stopped before")


async def test_an_agents_file_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    async with runtime(tmp_path) as here:
        subscription = here.kernel.subscribe()
        with pytest.raises(UsageError):
            here.agents.get("haiku")
        file = tmp_path / "agents" / "haiku.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(AGENT)
        await notice(subscription, "agents changed: haiku")
        assert here.agents.get("haiku").round_total == 1
        file.write_text(AGENT + '[[round]]\nprompt = "Better: {reply}"\n')
        await notice(subscription, "agents changed: haiku")
        assert here.agents.get("haiku").round_total == 2
        file.write_text("name = ")
        found = await notice(subscription, "haiku.toml")
        assert (found.level, "not TOML" in found.text) == ("warning", True)
        with pytest.raises(UsageError):
            here.agents.get("haiku")
        assert here.agents.get("chat").name == "chat"


async def test_without_http_only_the_owners_socket_is_there(tmp_path: Path) -> None:
    async with runtime(tmp_path) as here:
        assert await here.serving() is None
        announced = discovery.look_up(tmp_path / "h.sqlite3")
        assert announced is not None
        assert (announced.url, announced.socket) == (None, discovery.socket_path(tmp_path / "h.sqlite3"))
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(announced.socket))) as own:
            assert (await own.get("http://localhost/v1/kernel")).json()["state"] == "running"
    assert discovery.look_up(tmp_path / "h.sqlite3") is None
    assert not discovery.socket_path(tmp_path / "h.sqlite3").exists()


async def test_with_http_a_notice_says_where(tmp_path: Path) -> None:
    async with runtime(tmp_path, http=True) as here:
        subscription = here.kernel.subscribe()
        url = await here.serving()
        assert url is not None
        assert (await notice(subscription, "clients are served at")).text.endswith(url)
        async with httpx.AsyncClient(base_url=url) as http:
            assert (await http.get("/core/status")).json()["llm"] == "active"


async def test_closed_before_it_served_leaves_nothing(tmp_path: Path) -> None:
    async with runtime(tmp_path, http=True):
        pass
    assert discovery.look_up(tmp_path / "h.sqlite3") is None


def test_agents_show_what_they_do_and_how_they_did(cli: Here) -> None:
    assert "no tasks yet" in cli("agents", "show", "story_teller").out
    assert cli("run", "--core", QUICK, "--agent", "example/story_teller", "a").code == 0
    assert cli("run", "--core", "scripted:fail=1", "--agent", "story_teller", "b").code == 1
    shown = cli("agents", "show", "example/story_teller").out
    assert "2 tasks, 1 done, 1 failed, 0 cancelled" in shown
    assert "round 3 of 3" in shown
    (listed,) = [each for each in cli("agents", "list", "--json").tasks() if each["name"] == "story_teller"]
    assert (listed["so_far"]["tasks"], listed["so_far"]["done"], listed["so_far"]["failed"]) == (2, 1, 1)
    assert listed["so_far"]["tokens_out"] > 0
    (shown_json,) = cli("agents", "show", "story_teller", "--json").tasks()
    assert len(shown_json["prompts"]) == 3
    assert cli("agents", "show", "stry_teller").complaint.endswith("did you mean story_teller?")


def test_agent_files_are_checked(cli: Here) -> None:
    good, bad = cli.folder / "good.toml", cli.folder / "bad.toml"
    good.write_text(AGENT)
    bad.write_text(AGENT.replace("{prompt}", "{promt}"))
    well = cli("agents", "check", str(good))
    assert (well.code, well.out) == (0, f"{good}: haiku, 1 round\n")
    ill = cli("agents", "check", str(bad), str(cli.folder / "none.toml"))
    assert ill.code == 1
    assert "unknown placeholder {promt}" in ill.err
    assert "none.toml: No such file" in ill.err
    folder = cli.folder / "config" / "aios-tui" / "agents"
    folder.mkdir(parents=True)
    (folder / "haiku.toml").write_text(AGENT)
    assert cli("agents", "check").out == f"{folder / 'haiku.toml'}: haiku, 1 round\n"
