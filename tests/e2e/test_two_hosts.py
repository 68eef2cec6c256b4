"""Two Ollama hosts in the real console: one is killed and brought back while the other goes on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal
from tests.engine.cores.helpers import InThread
from tests.engine.cores.ollama.fake_server import FakeOllama

pytestmark = pytest.mark.e2e


def submit(terminal: Terminal, line: str) -> None:
    terminal.press(line)
    terminal.until(line)
    terminal.press("enter")
    terminal.until(lambda text: line not in text, "the empty quick line")


def test_a_host_that_dies_shows_it_and_comes_back_by_itself(tmp_path: Path) -> None:
    den, attic = FakeOllama("red:1b"), FakeOllama("blue:1b")
    with ExitStack() as stack:
        stack.enter_context(InThread(den))
        with InThread(attic):
            config = tmp_path / ".config" / "aios-tui" / "config.toml"
            config.parent.mkdir(parents=True)
            config.write_text(
                "".join(
                    f'[cores.{name}]\nkind = "ollama"\nurl = "http://{host.host}"\nslots = 1\n'
                    for name, host in (("den", den), ("attic", attic))
                )
            )
            terminal = stack.enter_context(Terminal(home=tmp_path))
            terminal.until("den ●  attic ●", "both hosts up in the header")
            terminal.until(lambda text: "den/0" in text and "attic/0" in text, "a lane for each slot")
            terminal.press("i")
            terminal.until("enter submit", "the quick line's own footer")
            submit(terminal, "#blue:1b first of attic")
            terminal.until("1 done")
        submit(terminal, "#blue:1b second of attic")
        terminal.until("den ●  attic ○", "that one of them is down")
        terminal.until(f"attic: Ollama at {attic.host} cannot be reached")
        submit(terminal, "#blue:1b third of attic")
        submit(terminal, "#red:1b first of den")
        screen = terminal.until("2 done", "the task of the host that is up")
        assert "third of attic" in screen, "the other host's task waits in the queue"
        with InThread(attic):
            terminal.until("den ●  attic ●", "the host that came back")
            terminal.until("4 done", "the tasks that waited for it")
            terminal.press("escape")
            terminal.until("n new", "the footer of the main screen")
            terminal.press("q")
            assert terminal.ended() == 0
    asked = [
        {request.body["model"] for request in host.requests if request.path == "/api/chat"} for host in (den, attic)
    ]
    assert asked == [{"red:1b"}, {"blue:1b"}]
