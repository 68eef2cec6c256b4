"""Models in a real terminal, on a server that speaks Ollama's wire format: pulled, loaded, and answering a task."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, counts
from tests.engine.cores.helpers import InThread, Progress, Request, Script, Wait, say
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FETCHED, LAYER, FakeModel

pytestmark = pytest.mark.e2e

OLD, NEW = "smollm2:135m", "qwen3:8b"
SIZE = 5_200_000_000


def answer(request: Request) -> Script:
    return say("The goose ", f"of {request.body['model']}.")


@pytest.fixture
def there() -> Iterator[InThread]:
    server = FakeOllama(OLD)
    server.library.append(FakeModel(NEW, size=SIZE, capabilities=("completion", "tools"), size_vram=60_000_000))
    server.usual = answer
    with InThread(server) as there:
        yield there


def test_pull_load_and_ask(tmp_path: Path, there: InThread) -> None:
    half, rest = Wait(), Wait()
    there.server.pulls.append(
        (
            Progress("pulling manifest"),
            half,
            Progress(LAYER, SIZE // 2, SIZE),
            rest,
            Progress(LAYER, SIZE, SIZE),
            *FETCHED,
        )
    )
    with Terminal("--core", f"ollama@{there.server.host}", home=tmp_path) as terminal:
        terminal.until(OLD, "the server's model in the header")
        terminal.press("m")
        terminal.until("abilities", "the models' screen")
        terminal.press("F")
        terminal.until("Pull a model")
        terminal.press(NEW, "enter")
        terminal.until("pulling manifest")
        there.let_go(half)
        screen = terminal.until("50 %", "how far the pull is")
        assert "2.6 GB of 5.2 GB" in screen
        assert "█" in screen
        terminal.press("escape")
        terminal.until("n new", "the main screen, while the pull goes on")
        there.let_go(rest)
        terminal.until(f"{NEW} is pulled", "the notice on the main screen")
        terminal.press("m")
        terminal.until(lambda text: NEW in text and "completion, tools" in text, "the new model in the list")
        terminal.press("g")
        terminal.until("u unload", "the hints for the new model")
        terminal.press("l")
        terminal.until("sit in system RAM", "the warning that part of it is not in GPU memory")
        terminal.press("escape")
        terminal.until("n new", "the main screen")
        terminal.press("i")
        terminal.until("enter", "the quick line's own footer")
        terminal.press(f"#{NEW} Tell me of a goose")
        terminal.until("of a goose")
        terminal.press("enter")
        terminal.until(f"The goose of {NEW}.", "the answer of the model that was pulled")
        terminal.press("escape")
        terminal.until("n new", "the footer of the main screen")
        terminal.press("q")
        assert terminal.ended() == 0
    history = tmp_path / ".local" / "share" / "aios-tui" / "history.sqlite3"
    assert counts(tmp_path, history) == {"done": 1}


def test_leaving_stops_a_pull_at_the_server(tmp_path: Path, there: InThread) -> None:
    there.server.pulls.append((Progress(LAYER, 1, 2), Wait()))
    with Terminal("--core", f"ollama@{there.server.host}", home=tmp_path) as terminal:
        terminal.until(OLD)
        terminal.press("m", "F")
        terminal.until("Pull a model")
        terminal.press(NEW, "enter")
        terminal.until("50 %")
        terminal.press("escape")
        terminal.until("n new")
        terminal.press("q")
        terminal.until("q again leaves")
        terminal.press("q")
        assert terminal.ended() == 0
        assert "Traceback" not in terminal.text
    asyncio.run(there.until(lambda server: server.disconnects >= 1))


def test_a_pull_on_the_command_line_shows_a_bar_and_rm_asks(tmp_path: Path, there: InThread) -> None:
    held = Wait()
    there.server.pulls.append((Progress(LAYER, SIZE // 2, SIZE), held, Progress(LAYER, SIZE, SIZE), *FETCHED))
    core = f"ollama@{there.server.host}"
    with Terminal("models", "pull", NEW, "--core", core, home=tmp_path) as terminal:
        terminal.until("50 %", "the bar")
        there.let_go(held)
        terminal.until("pulled, 5.2 GB")
        assert terminal.ended() == 0
    for reply, left in (("n", True), ("y", False)):
        with Terminal("models", "rm", NEW, "--core", core, home=tmp_path) as terminal:
            terminal.until(f"Delete {NEW}, 5.2 GB at {there.server.host}?")
            terminal.press(reply, "enter")
            assert terminal.ended() == (2 if left else 0)
        assert (NEW in [model.name for model in there.server.models]) is left
    with Terminal("models", "rm", OLD, "--core", core, home=tmp_path) as terminal:
        terminal.until(f"Delete {OLD}")
        terminal.press("ctrl+c")
        assert terminal.ended() == 130
    assert OLD in [model.name for model in there.server.models]
