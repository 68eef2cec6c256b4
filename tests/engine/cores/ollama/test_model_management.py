"""Keeping the models of an Ollama server: each operation on the wire, its refusals, and what stops in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio

from engine.cores.embedded.core import EmbeddedCore
from engine.cores.model_management import ModelManager, PullProgress, model_manager_of
from engine.cores.ollama.core import OllamaCore
from engine.cores.port import Attempt, Done, Message, ModelInfo, SlotState
from engine.cores.scripted import ScriptedCore
from engine.errors import CoreError
from tests.engine.cores.helpers import Break, MidstreamError, Progress, Raw, Say, Script, Status, Wait, dump
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FETCHED, LAYER, FakeModel, fetch
from tests.waiting import PATIENCE_S

MODEL, BIG = "smollm2:135m", "qwen3:8b"
EMBEDDER = "nomic-embed-text:latest"


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeOllama]:
    embedder = FakeModel(EMBEDDER, capabilities=("embedding",))
    async with FakeOllama(MODEL, embedder, loaded=[MODEL]) as server:
        server.library.append(FakeModel(BIG, size=5_200_000_000, capabilities=("completion", "tools", "thinking")))
        yield server


@pytest_asyncio.fixture
async def core(fake: FakeOllama) -> AsyncIterator[OllamaCore]:
    core = OllamaCore(fake.host, backoff=(0.01, 0.02))
    await core.start()
    yield core
    await core.stop(drain_s=0)


async def pulled(core: OllamaCore, name: str = BIG) -> list[PullProgress]:
    async with asyncio.timeout(PATIENCE_S):
        return [progress async for progress in core.pull(name)]


async def installed(core: OllamaCore) -> list[str]:
    return [model.name for model in (await core.inspect()).models]


async def info(core: OllamaCore, name: str) -> ModelInfo:
    return next(model for model in (await core.inspect()).models if model.name == name)


async def told_of_models(events: AsyncIterator[object]) -> None:
    """Wait until the core says that its models changed."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            if getattr(event, "kind", "") == "models":
                return


def test_who_keeps_models() -> None:
    assert model_manager_of(OllamaCore()) is not None
    assert isinstance(OllamaCore(), ModelManager)
    assert model_manager_of(ScriptedCore.parse("")) is None
    assert not issubclass(EmbeddedCore, ModelManager)


class TestListing:
    async def test_names_and_abilities(self, core: OllamaCore) -> None:
        models = {model.name: model for model in (await core.inspect()).models}
        assert models[EMBEDDER].aliases == ("nomic-embed-text",)
        assert models[EMBEDDER].capabilities == ("embedding",)
        assert not models[EMBEDDER].chats
        assert models[MODEL].aliases == ()
        assert models[MODEL].chats
        assert models[MODEL].loaded
        assert models[MODEL].size_vram == models[MODEL].size_loaded

    async def test_a_server_that_does_not_tell_is_taken_at_its_best(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.models.append(FakeModel("old:latest", capabilities=None))
        old = await info(core, "old:latest")
        assert old.capabilities is None
        assert old.chats

    @pytest.mark.parametrize("number", [10**400, 1 << 62, -5], ids=["huge", "large", "negative"])
    async def test_a_number_beyond_all_sense_is_not_known(
        self, fake: FakeOllama, core: OllamaCore, number: int
    ) -> None:
        listed = {"name": MODEL, "size": number, "size_vram": number, "context_length": number}
        fake.overrides["/api/ps"] = (Raw(dump({"models": [listed]})),)
        fake.overrides["/api/tags"] = (Raw(dump({"models": [listed | {"capabilities": ["completion"]}]})),)
        look = await core.inspect()
        assert look.healthy, look.detail
        (model,) = look.models
        assert (model.size, model.size_loaded, model.size_vram, model.context_length) == (None, None, None, None)

    async def test_a_size_in_words_beyond_all_sense(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.overrides["/api/ps"] = (Raw(dump({"models": [{"name": MODEL, "size": "1e400GB"}]})),)
        assert "its list of loaded models is not Ollama's" in (await core.inspect()).detail


class TestShowing:
    async def test_all_of_it(self, fake: FakeOllama, core: OllamaCore) -> None:
        shown = await core.show(MODEL)
        assert (shown.family, shown.parameter_size, shown.quantization) == ("llama", "134.52M", "Q4_1")
        assert shown.info.loaded
        assert shown.info.size == 98_362_793
        assert shown.template == "{{ .Prompt }}"
        assert shown.facts["llama.context_length"] == "8192"
        assert shown.facts["format"] == "gguf"
        assert "temperature" in shown.parameters
        assert shown.modified_at == pytest.approx(1795360876.4, abs=1)
        assert fake.requests[1].body == {"model": MODEL}

    async def test_by_another_name(self, core: OllamaCore) -> None:
        assert (await core.show("nomic-embed-text")).info.name == EMBEDDER

    async def test_a_name_that_is_not_there_gets_one_that_is_near(self, core: OllamaCore) -> None:
        with pytest.raises(CoreError, match="'smollm2:136m' not found; did you mean smollm2:135m"):
            await core.show("smollm2:136m")

    async def test_its_text_is_only_text(self, fake: FakeOllama, core: OllamaCore) -> None:
        evil = (
            b'{"template": "a\\u001b[2Jb\\r\\nc", "system": "\\u202e", "model_info": {"x\\u0007": "\\u009b", "l": []}}'
        )
        fake.overrides["/api/show"] = (Raw(evil),)
        shown = await core.show(MODEL)
        assert shown.template == "a\ufffd[2Jb\nc"
        assert shown.system == "\ufffd"
        assert shown.facts == {"x\ufffd": "\ufffd"}

    @pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59", "0001-01-01T00:00:00"])
    async def test_a_moment_that_no_clock_shows_is_not_known(
        self, fake: FakeOllama, core: OllamaCore, moment: str
    ) -> None:
        fake.overrides["/api/show"] = (Raw(dump({"modified_at": moment})),)
        assert (await core.show(MODEL)).modified_at is None

    @pytest.mark.parametrize("body", [b"[1, 2]", b"not json", b'{"details": 7}', b""])
    async def test_something_else_answers(self, fake: FakeOllama, core: OllamaCore, body: bytes) -> None:
        fake.overrides["/api/show"] = (Raw(body),) if body else ()
        with pytest.raises(CoreError, match="is not Ollama") as raised:
            await core.show(MODEL)
        assert "\n" not in str(raised.value)

    async def test_a_server_that_says_nothing(self, fake: FakeOllama, core: OllamaCore) -> None:
        core.answer_s = 0.05
        fake.overrides["/api/show"] = (Wait(),)
        with pytest.raises(CoreError, match="did not answer in time"):
            await core.show(MODEL)


class TestPulling:
    async def test_progress_and_then_it_is_there(self, fake: FakeOllama, core: OllamaCore) -> None:
        events = core.events()
        progress = await pulled(core)
        size = 5_200_000_000
        assert progress[0] == PullProgress("pulling manifest")
        assert [each.done for each in progress if each.status == LAYER] == [size * n // 4 for n in range(5)]
        assert {each.total for each in progress if each.status == LAYER and each.done} == {size}
        assert progress[-1] == PullProgress("success")
        assert BIG in await installed(core)
        await told_of_models(events)
        assert fake.requests[1].body == {"model": BIG, "insecure": False, "stream": True}

    async def test_a_model_that_nobody_has(self, core: OllamaCore) -> None:
        with pytest.raises(CoreError, match="qwen99 was not pulled: the library has no such model"):
            await pulled(core, "qwen99")

    async def test_an_error_in_the_middle(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.pulls.append(
            (Progress("pulling manifest"), Progress(LAYER, 5, 10), MidstreamError("no space left \x1b[2J"))
        )
        with pytest.raises(CoreError) as raised:
            await pulled(core)
        assert str(raised.value).startswith(f"{BIG} was not pulled: no space left \ufffd[2J (Ollama at ")
        assert BIG not in await installed(core)

    @pytest.mark.parametrize(
        ("script", "said"),
        [
            (fetch(100)[:4], "broke off at .*; pull it again"),
            ((Progress(LAYER, 1, 2), Break()), "broke in mid-answer"),
            ((Progress(LAYER, 1, 2), Break(reset=True)), "broke in mid-answer"),
            ((Progress(LAYER, 1, 2), Raw(b'{"status": "pul')), "broke off in the middle of a line"),
            ((Raw(b"<html>captive portal\n"),), "not JSON"),
            ((Raw(b'{"status": "\xff"}\n'),), "not valid UTF-8"),
            ((Raw(b'{"status": "x", "total": "many"}\n'),), "wrong shape"),
            ((Raw(b'{"status": "' + b"x" * (2 << 20) + b'"}\n'),), "longer than"),
            ((), "broke off"),
            (Status(500, "no disk"), "no disk .*HTTP 500"),
            (Status(302, "", (("Location", "http://elsewhere/"),)), "redirects to"),
            (Status(502, b"<html>proxy"), "HTTP 502"),
        ],
        ids=[
            "cut at a line",
            "cut",
            "reset",
            "cut line",
            "html",
            "bytes",
            "shape",
            "long",
            "empty",
            "500",
            "302",
            "502",
        ],
    )
    async def test_what_can_go_wrong(self, fake: FakeOllama, core: OllamaCore, script: Script, said: str) -> None:
        fake.pulls.append(script)
        with pytest.raises(CoreError, match=said) as raised:
            await pulled(core)
        assert str(raised.value).count("\n") == 0
        assert BIG not in await installed(core)
        assert (await pulled(core))[-1].status == "success", "the next pull is none the worse for it"

    async def test_numbers_that_make_no_sense(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.pulls.append((Progress("a", 7, 5), Progress("b", -3, 5), Progress("c", 3, -5), *FETCHED))
        found = {each.status: (each.done, each.total) for each in await pulled(core)}
        assert (found["a"], found["b"], found["c"]) == ((5, 5), (0, 5), (0, 0))

    async def test_closing_it_closes_the_connection(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.pulls.append((Progress("pulling manifest"), Progress(LAYER, 1, 2), Wait()))
        async with aclosing(core.pull(BIG)) as progress:
            async for each in progress:
                if each.done:
                    break
        await fake.until(lambda server: server.disconnects == 1)

    async def test_cancelling_who_waits_closes_the_connection(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.pulls.append((Progress(LAYER, 1, 2), Wait()))
        task = asyncio.create_task(pulled(core))
        await fake.until(lambda server: any(request.path == "/api/pull" for request in server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await fake.until(lambda server: server.disconnects == 1)

    async def test_a_pull_that_stalls(self, fake: FakeOllama, core: OllamaCore) -> None:
        core.silence_s = 0.05
        fake.pulls.append((Progress(LAYER, 1, 2), Wait()))
        with pytest.raises(CoreError, match="did not answer in time"):
            await pulled(core)
        await fake.until(lambda server: server.disconnects == 1)

    async def test_the_core_is_stopped_meanwhile(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.pulls.append((Progress(LAYER, 1, 2), Wait()))
        task = asyncio.create_task(pulled(core))
        await fake.until(lambda server: any(request.path == "/api/pull" for request in server.requests))
        await core.stop(drain_s=0)
        with pytest.raises(CoreError):
            async with asyncio.timeout(PATIENCE_S):
                await task

    async def test_an_answer_goes_on_beside_it(self, fake: FakeOllama, core: OllamaCore) -> None:
        held = Wait()
        fake.pulls.append((Progress(LAYER, 1, 2), held, *FETCHED))
        task = asyncio.create_task(pulled(core))
        await fake.until(lambda server: any(request.path == "/api/pull" for request in server.requests))
        assert (await core.inspect()).healthy
        held.event.set()
        assert (await task)[-1].status == "success"


class TestDeleting:
    async def test_it_is_gone(self, fake: FakeOllama, core: OllamaCore) -> None:
        events = core.events()
        await core.delete(MODEL)
        assert MODEL not in await installed(core)
        await told_of_models(events)

    async def test_what_is_not_there(self, core: OllamaCore) -> None:
        with pytest.raises(CoreError, match="zzz was not deleted: model 'zzz' not found at Ollama at"):
            await core.delete("zzz")

    @pytest.mark.parametrize("name", ["", "  ", "two words", "a\x1b[2J", "x" * 301, "new\nline"])
    async def test_names_that_are_none(self, fake: FakeOllama, core: OllamaCore, name: str) -> None:
        with pytest.raises(CoreError, match="is not the name of a model"):
            await core.delete(name)
        assert all(request.path != "/api/delete" for request in fake.requests)


class TestLoading:
    async def test_load_and_unload(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.loaded.clear()
        events = core.events()
        assert await core.load(MODEL, "10m") >= 0
        assert (await info(core, MODEL)).loaded
        await told_of_models(events)
        assert fake.requests[-4].body | {"stream": False} == {
            "model": MODEL, "prompt": "", "stream": False, "keep_alive": "10m",
        }  # fmt: skip
        await core.unload(MODEL)
        assert not (await info(core, MODEL)).loaded

    @pytest.mark.parametrize(
        ("given", "sent"), [("-1", -1), ("300", 300), ("24h", "24h"), ("nan", "nan"), (None, None)]
    )
    async def test_how_long_it_stays(
        self, fake: FakeOllama, core: OllamaCore, given: str | None, sent: str | float | None
    ) -> None:
        await core.load(MODEL, given)
        (asked,) = [request.body for request in fake.requests if request.path == "/api/generate"]
        assert asked.get("keep_alive") == sent

    async def test_one_that_only_embeds(self, fake: FakeOllama, core: OllamaCore) -> None:
        await core.load("nomic-embed-text")
        assert (await info(core, EMBEDDER)).loaded
        await core.unload("nomic-embed-text")
        assert not (await info(core, EMBEDDER)).loaded

    async def test_unloading_what_is_not_in_memory_is_nothing(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.loaded.clear()
        await core.unload(MODEL)

    async def test_one_that_is_not_installed(self, core: OllamaCore) -> None:
        with pytest.raises(CoreError, match="qwen3:8b was not loaded: model 'qwen3:8b' not found"):
            await core.load(BIG)
        with pytest.raises(CoreError, match="qwen3:8b was not unloaded: model 'qwen3:8b' not found"):
            await core.unload(BIG)

    async def test_more_memory_than_there_is(self, fake: FakeOllama, core: OllamaCore) -> None:
        said = "model requires more system memory (9.1 GiB) than is available (3.2 GiB)"
        fake.scripts.append(Status(500, said))
        with pytest.raises(CoreError, match="requires more system memory"):
            await core.load(MODEL)

    async def test_a_load_that_never_ends(self, fake: FakeOllama, core: OllamaCore) -> None:
        core.load_s = 0.05
        fake.scripts.append((Wait(),))
        with pytest.raises(CoreError, match="did not answer in time"):
            await core.load(MODEL)
        await fake.until(lambda server: server.disconnects == 1)

    async def test_an_answer_that_is_not_the_end(self, fake: FakeOllama, core: OllamaCore) -> None:
        fake.scripts.append((Say("x"),))
        with pytest.raises(CoreError, match="does not say that the model is loaded"):
            await core.load(MODEL)

    async def test_a_model_that_stays_for_it_still_answers(
        self, fake: FakeOllama, core: OllamaCore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engine.cores.ollama.model_management._UNLOAD_PAUSE_S", 0.001)
        fake.overrides["/api/ps"] = (Raw(b'{"models": [{"name": "smollm2:135m", "model": "smollm2:135m"}]}'),)
        await core.unload(MODEL)
        looks = sum(request.path == "/api/ps" for request in fake.requests)
        assert 1 < looks <= 20, "it is waited for a while, and not for ever"


async def test_a_server_that_goes_in_the_middle_of_a_pull(fake: FakeOllama, core: OllamaCore) -> None:
    fake.pulls.append((Progress(LAYER, 1, 2), Wait()))
    events = core.events()
    task = asyncio.create_task(pulled(core))
    await fake.until(lambda server: any(request.path == "/api/pull" for request in server.requests))
    await asyncio.sleep(0)
    await fake.stop()
    with pytest.raises(CoreError, match="qwen3:8b was not pulled"):
        await task
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            if event.kind == "down":
                break
    await fake.start()
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            if event.kind == "up":
                break
    assert (await pulled(core))[-1].status == "success"


async def test_another_model_answers_by_default(fake: FakeOllama, core: OllamaCore) -> None:
    fake.models.append(FakeModel(BIG))
    events = core.events()
    core.choose_default(BIG)
    await told_of_models(events)
    assert (await core.inspect()).default_model == BIG
    outcome = [item async for item in core.run(Attempt(1, 1, 1, (Message("user", "Hello"),)), core.slots()[0])][-1]
    assert isinstance(outcome, Done)
    assert outcome.model == BIG


async def test_a_server_that_is_gone(fake: FakeOllama, core: OllamaCore) -> None:
    await fake.stop()
    for operation in (core.show(MODEL), core.delete(MODEL), core.load(MODEL), core.unload(MODEL), pulled(core)):
        with pytest.raises(CoreError, match=r"cannot be reached \(connection refused\); start it"):
            await operation
    assert core.slots()[0].state is SlotState.DOWN
