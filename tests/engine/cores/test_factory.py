"""The core that each value of `--core` makes, and the reason that people see."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.cores.core_spec import parse_cores
from engine.cores.embedded import core as embedded
from engine.cores.embedded.core import EmbeddedCore
from engine.cores.factory import choose_core
from engine.cores.ollama.core import OllamaCore
from engine.cores.port import Core
from engine.cores.scripted import ScriptedCore
from engine.errors import CoreError, UsageError
from tests.engine.cores.helpers import Status, silent_port
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FakeModel


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOllama]:
    async with FakeOllama("new:1b", "old:1b", "other:1b", loaded=["old:1b"]) as server:
        yield server


@pytest_asyncio.fixture
async def nowhere() -> str:
    """An address where nothing listens."""
    async with FakeOllama() as server:
        return server.host


@pytest.fixture
def with_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "available", lambda: None)


@pytest.fixture
def without_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "available", lambda: "no engine; run `the command`")


async def choose(
    choice: str, host: str = "", *, slots: int | None = None, default_model: str | None = None, probe_s: float = 30.0
) -> tuple[Core, str]:
    """The core, stopped again, and why."""
    chosen = await choose_core(
        choice, slots=slots, default_model=default_model, probe_s=probe_s, environ={"OLLAMA_HOST": host}
    )
    await chosen.core.stop(drain_s=0)
    return chosen.core, chosen.why


class TestAuto:
    async def test_ollama_when_it_answers_and_has_a_model(self, fake: FakeOllama) -> None:
        core, why = await choose("auto", fake.host, slots=3)
        assert isinstance(core, OllamaCore)
        assert why == f"Ollama at {fake.host} answered with 3 models"
        assert len(core.slots()) == 3

    async def test_the_chosen_core_serves_and_tells_why(self, fake: FakeOllama) -> None:
        chosen = await choose_core("auto", default_model="other:1b", environ={"OLLAMA_HOST": fake.host})
        await chosen.core.start()
        info = await chosen.core.inspect()
        assert (info.healthy, info.why, info.default_model) == (True, chosen.why, "other:1b")
        await chosen.core.stop(drain_s=0)

    async def test_one_model_is_one(self) -> None:
        async with FakeOllama("new:1b") as fake:
            assert (await choose("auto", fake.host))[1].endswith("answered with 1 model")

    @pytest.mark.usefixtures("with_embedded")
    async def test_embedded_when_nothing_listens(self, nowhere: str) -> None:
        core, why = await choose("auto", nowhere, slots=2)
        assert isinstance(core, EmbeddedCore)
        assert why == f"no Ollama at {nowhere}, so the embedded model"
        assert len(core.slots()) == 2

    @pytest.mark.usefixtures("with_embedded")
    async def test_embedded_when_nothing_answers_in_time(self) -> None:
        async with silent_port() as host:
            core, why = await choose("auto", host, probe_s=0.05)
        assert isinstance(core, EmbeddedCore)
        assert why == f"no Ollama at {host}, so the embedded model"

    @pytest.mark.usefixtures("with_embedded")
    async def test_embedded_when_ollama_has_nothing_that_chats(self) -> None:
        async with FakeOllama(FakeModel("embed:1b", capabilities=("embedding",))) as fake:
            core, why = await choose("auto", fake.host)
        assert isinstance(core, EmbeddedCore)
        assert why == f"Ollama at {fake.host} has no model that can chat, so the embedded model"

    @pytest.mark.usefixtures("with_embedded")
    async def test_embedded_when_it_is_something_else(self, fake: FakeOllama) -> None:
        fake.overrides["/api/version"] = Status(404, b"<html>")
        core, why = await choose("auto", fake.host)
        assert isinstance(core, EmbeddedCore)
        assert why == f"what answers at {fake.host} is not Ollama, so the embedded model"

    @pytest.mark.usefixtures("with_embedded")
    async def test_embedded_when_the_models_are_not_told(self, fake: FakeOllama) -> None:
        fake.overrides["/api/tags"] = Status(500, "disk")
        core, why = await choose("auto", fake.host)
        assert isinstance(core, EmbeddedCore)
        assert why == f"Ollama at {fake.host} does not list its models, so the embedded model"

    @pytest.mark.usefixtures("without_embedded")
    async def test_neither_names_both_remedies(self, nowhere: str) -> None:
        with pytest.raises(CoreError) as caught:
            await choose("auto", nowhere)
        message = str(caught.value)
        assert nowhere in message
        assert "start Ollama" in message
        assert "run `the command`" in message
        assert "\n" not in message


class TestNamed:
    async def test_ollama_where_the_environment_says(self, fake: FakeOllama) -> None:
        core, why = await choose("ollama", fake.host)
        assert isinstance(core, OllamaCore)
        assert core.address.label == fake.host
        assert why == f"Ollama at {fake.host}, as requested"

    async def test_ollama_at_an_address(self, nowhere: str) -> None:
        core, _ = await choose(f"ollama@http://{nowhere}/", "elsewhere")
        assert isinstance(core, OllamaCore)
        assert core.address.label == nowhere

    async def test_a_named_ollama_that_is_down_is_an_error_at_start(self, nowhere: str) -> None:
        chosen = await choose_core(f"ollama@{nowhere}", environ={})
        with pytest.raises(CoreError, match=nowhere):
            await chosen.core.start()

    async def test_scripted_with_options(self) -> None:
        core, _ = await choose("scripted:slots=4,tokens=3")
        assert isinstance(core, ScriptedCore)
        assert len(core.slots()) == 4
        assert len((await choose("scripted", slots=2))[0].slots()) == 2

    @pytest.mark.usefixtures("with_embedded")
    async def test_embedded(self) -> None:
        assert isinstance((await choose("embedded"))[0], EmbeddedCore)

    @pytest.mark.usefixtures("without_embedded")
    async def test_embedded_that_cannot_be(self) -> None:
        with pytest.raises(CoreError, match="run `the command`"):
            await choose("embedded")


@pytest.mark.parametrize(
    "choice", ["auto", " auto ", "embedded", "ollama", "ollama@gpu-box", "scripted", "scripted:seed=1"]
)
def test_good_choices(choice: str) -> None:
    parse_cores(choice, {})


@pytest.mark.parametrize(
    "choice", ["", "olama", "ollama:", "ollama@", "ollama@ftp://x", "scripted:nope=1", "scripted:tokens=x", "a\nb\x1b"]
)
async def test_bad_choices(choice: str) -> None:
    with pytest.raises(UsageError) as checked:
        parse_cores(choice, {})
    assert "\n" not in str(checked.value)
    assert "\x1b" not in str(checked.value)
    with pytest.raises(UsageError):
        await choose(choice)


async def test_a_bad_environment_is_named() -> None:
    with pytest.raises(UsageError, match="OLLAMA_HOST: 'ftp://x'"):
        await choose("auto", "ftp://x")


async def test_no_slots() -> None:
    with pytest.raises(UsageError, match="at least one slot"):
        await choose("ollama", slots=0)


def test_checking_a_choice_loads_no_client() -> None:
    program = (
        "import sys; from engine.cores.core_spec import parse_cores; parse_cores('ollama@x', {});"
        "sys.exit(bool({'ollama', 'httpx', 'xllamacpp'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
