"""The models' screen by its keys: what it asks of a core, what it says, and what goes on without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from aios_tui.console.app import ConsoleApp
from aios_tui.console.screens.delete_model import DeleteModelScreen
from aios_tui.console.screens.model_details import ModelScreen
from aios_tui.console.screens.models import ModelsScreen
from aios_tui.console.screens.pull_model import PullScreen
from aios_tui.console.screens.task import TaskScreen
from aios_tui.console.widgets.model_list import ModelList
from aios_tui.formatting.models import missing_model, share_text, warning
from engine.cores.model_management import PullProgress
from engine.cores.port import Core, CoreInfo
from engine.errors import CoreError
from engine.events import CoreChanged, Event, TaskAccepted
from engine.task import TaskFault, TaskSpec, TaskState
from tests.aios_tui.console import sample_tasks, scene
from tests.aios_tui.console.fake_model_manager import BIG, INFO, SMALL, FakeKeeper
from tests.aios_tui.console.fake_runtime import FakeHistory, FakeKernel
from tests.aios_tui.console.helpers import opened, text
from tests.aios_tui.console.settling import until

GIB = 1_000_000_000


@dataclass
class Shown:
    """The console with the models' screen open, over cores that keep models."""

    app: ConsoleApp
    pilot: Pilot[int]
    keepers: dict[str, FakeKeeper]
    kernel: FakeKernel

    @property
    def keeper(self) -> FakeKeeper:
        return self.keepers["ollama"]

    @property
    def screen(self) -> Screen[Any]:
        return self.app.screen

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def reported(self, words: str) -> None:
        await until(lambda: words in self.app.last_notice, self.pilot)

    async def seen(self, words: str) -> None:
        await until(lambda: words in text(self.app), self.pilot)

    async def is_now(self, info: CoreInfo) -> None:
        self.kernel.subscription.put(CoreChanged(scene.NOW, info))
        self.app.bridge.flush()
        await self.pilot.pause()


@asynccontextmanager
async def models(
    *infos: CoreInfo, keeping: Sequence[str] = ("ollama",), more: Sequence[Event] = (), key: str = "m", **options: Any
) -> AsyncIterator[Shown]:
    events = [*scene.up(), *(CoreChanged(scene.NOW, info) for info in infos or (INFO,)), *more]
    async with opened(events, **options) as (app, pilot, runtime):
        keepers = {name: FakeKeeper(name) for name in keeping}
        kernel = cast(FakeKernel, runtime.kernel)
        kernel.cores = cast(Sequence[Core], tuple(keepers.values()))
        await pilot.press(key)
        await pilot.pause()
        yield Shown(app, pilot, keepers, kernel)


async def test_it_shows_every_model_and_what_slows_it_down() -> None:
    async with models() as shown:
        assert isinstance(shown.screen, ModelsScreen)
        drawn = text(shown.app)
        line = next(line for line in drawn.splitlines() if "qwen3:8b" in line)
        for part in ("● ", "5.2 GB", "6.1 GB", "69 %", "4:12", "8,192", "default, completion, tools"):
            assert part in line
        assert "1.9 GB of 6.1 GB sit in system RAM" in drawn
        assert "0.35.1 http://127.0.0.1:11434" in drawn
        await until(lambda: ("inspect",) in shown.kernel.calls, shown.pilot)


async def test_text_of_a_server_is_only_text() -> None:
    async with models() as shown:
        await shown.press("G")
        assert "日本語\ufffd[2J[/foo]:7b" in text(shown.app)
        await shown.press("enter")
        await shown.seen("Be brief. [/foo]")


async def test_details() -> None:
    async with models() as shown:
        await shown.press("enter")
        assert isinstance(shown.screen, ModelScreen)
        await shown.seen("8,192 now, 40,960 at most")
        drawn = text(shown.app)
        assert "qwen3 8.2B Q4_K_M gguf" in drawn
        assert "temperature 0.6" in drawn
        assert "and 8 more lines" in drawn
        await shown.press("escape")
        shown.keeper.refusal = CoreError("qwen3:8b was not looked up: it is gone")
        await shown.press("enter")
        await shown.seen("it is gone")


async def test_a_pull_from_its_name_to_its_end() -> None:
    async with models() as shown:
        await shown.press("F")
        assert isinstance(shown.screen, PullScreen)
        await shown.press(*"n:1", "enter")
        await until(lambda: shown.keeper.calls == [("pull", "n:1")], shown.pilot)
        shown.keeper.steps.put_nowait(PullProgress("pulling manifest"))
        await shown.seen("pulling manifest")
        shown.keeper.steps.put_nowait(PullProgress("pulling 6e9f", 2 * GIB, 4 * GIB))
        await shown.seen("50 %  2.0 GB of 4.0 GB")
        assert "█" in text(shown.app)
        shown.keeper.steps.put_nowait(PullProgress("success"))
        shown.keeper.steps.put_nowait(None)
        await shown.reported("n:1 is pulled")
        assert shown.app.model_jobs.running == {}


async def test_x_stops_a_pull_which_closes_it() -> None:
    async with models() as shown:
        await shown.press("F", *"n:1", "enter")
        shown.keeper.steps.put_nowait(PullProgress("pulling 6e9f", 1, 2))
        await shown.seen("50 %")
        await shown.press("x")
        await shown.reported("pulling n:1 stopped; the next pull resumes there")
        await until(lambda: shown.keeper.closed == 1, shown.pilot)
        assert "50 %" not in text(shown.app)


async def test_a_pull_goes_on_when_the_screen_is_left() -> None:
    async with models() as shown:
        await shown.press("F", *"n:1", "enter")
        await until(lambda: shown.app.model_jobs.running, shown.pilot)
        await shown.press("escape")
        assert shown.app.screen is shown.app.main
        shown.keeper.steps.put_nowait(PullProgress("pulling 6e9f", 1, 2))
        await until(lambda: shown.app.model_jobs.running["ollama", "n:1"].progress.done, shown.pilot)
        await shown.press("m")
        await shown.seen("50 %")
        await shown.press("escape")
        shown.keeper.steps.put_nowait(None)
        await shown.reported("n:1 is pulled")


async def test_a_pull_that_fails_is_one_line() -> None:
    async with models() as shown:
        await shown.press("F", *"nope", "enter")
        shown.keeper.steps.put_nowait(CoreError("nope was not pulled: the library has no such model"))
        await shown.reported("nope was not pulled: the library has no such model")
        assert shown.app.model_jobs.running == {}


async def test_a_model_is_pulled_once_at_a_time_and_others_beside_it() -> None:
    async with models() as shown:
        for _ in range(2):
            await shown.press("F", *"one", "enter")
        await shown.reported("already pulling one")
        await shown.press("F", *"two", "enter")
        await until(lambda: len(shown.app.model_jobs.running) == 2, shown.pilot)
        assert shown.keeper.calls == [("pull", "one"), ("pull", "two")]


async def test_the_name_must_be_one() -> None:
    async with models() as shown:
        await shown.press("F", "enter")
        await shown.seen("write the name of a model")
        await shown.press("a", "space", "b", "enter")
        await shown.seen("has no spaces")
        await shown.press("escape")
        assert isinstance(shown.screen, ModelsScreen)
        assert shown.keeper.calls == []


async def test_deleting_asks_and_keeping_is_the_first_answer() -> None:
    waiting = [TaskAccepted(scene.NOW, 40 + n, TaskSpec(prompt="x", model="qwen3:8b")) for n in range(2)]
    async with models(more=waiting) as shown:
        await shown.press("d")
        assert isinstance(shown.screen, DeleteModelScreen)
        reported = " ".join(text(shown.app).replace("│", " ").split())
        assert "qwen3:8b 5.2 GB at ollama, loaded now, the default model; 2 queued or running tasks name it" in reported
        await shown.press("enter")
        await shown.press("d", "y", "escape")  # only the key that is shown deletes
        assert shown.keeper.calls == []
        await shown.press("d", "d")
        await shown.reported("qwen3:8b is deleted")
        assert shown.keeper.calls == [("delete", "qwen3:8b")]


async def test_loading_and_unloading() -> None:
    async with models() as shown:
        await shown.press("l")
        await shown.reported("qwen3:8b is already loaded")
        await shown.press("u")
        await shown.reported("qwen3:8b is unloaded")
        shown.keeper.go.clear()
        await shown.press("j", "u")
        await shown.reported("smollm2:135m is not loaded")
        await shown.press("l")
        await shown.seen("loading")
        await shown.press("l")
        await shown.reported("already loading smollm2:135m")
        shown.keeper.go.set()
        await shown.reported("smollm2:135m is loaded, in 3.20 s")
        assert shown.keeper.calls == [("unload", "qwen3:8b"), ("load", "smollm2:135m")]


async def test_a_load_can_be_stopped() -> None:
    async with models() as shown:
        shown.keeper.go.clear()
        await shown.press("j", "l")
        await shown.seen("loading")
        await shown.press("x")
        await shown.reported("loading smollm2:135m stopped")


async def test_another_model_answers_by_default() -> None:
    async with models() as shown:
        await shown.press("j", "asterisk")
        await shown.reported("smollm2:135m is the default model of ollama until the program ends")
        await shown.press("j", "asterisk")
        await shown.reported("nomic-embed-text:latest can't answer prompts")
        assert shown.keeper.calls == [("default", "smollm2:135m")]


async def test_the_header_says_how_far_a_pull_is_and_leaving_asks_first() -> None:
    async with models() as shown:
        await shown.press("F", *"n:1", "enter")
        shown.keeper.steps.put_nowait(PullProgress("pulling 6e9f", 43, 100))
        await shown.seen("43 %")
        await shown.press("escape")
        await shown.seen("↓ n:1 43 %")
        await shown.press("q")
        await shown.reported("1 pull would stop; the next resumes there. q again leaves")
        assert not shown.app.leaving
        await shown.press("q")
        assert shown.app.leaving


async def test_a_refusal_is_one_line() -> None:
    async with models() as shown:
        shown.keeper.refusal = CoreError("smollm2:135m was not loaded: it needs more memory than there is")
        await shown.press("j", "l")
        await shown.reported("it needs more memory than there is")


async def test_a_core_without_models_to_manage() -> None:
    other = CoreInfo("embedded", True, "smollm2:135m", (SMALL,))
    async with models(other, keeping=()) as shown:
        for key in ("F", "l", "u", "d", "enter", "x"):
            await shown.press("G", key)
            assert isinstance(shown.screen, ModelsScreen), key
            assert shown.app.last_notice, key
            assert shown.app.last_notice.split()[0] in ("none", "the", "this"), shown.app.last_notice


async def test_each_core_names_its_models_and_a_pull_goes_where_it_is_told() -> None:
    attic = replace(INFO, name="attic", models=(SMALL,), where="http://attic:11434")
    async with models(INFO, attic, keeping=("ollama", "attic")) as shown:
        drawn = text(shown.app)
        assert "attic" in next(line for line in drawn.splitlines() if "smollm2" in line and "attic" in line)
        await shown.press("F", "tab", *"one", "enter")
        await until(lambda: shown.keepers["attic"].calls == [("pull", "one")], shown.pilot)
        await shown.press("G", "F", *"two", "enter")
        await until(lambda: ("pull", "two") in shown.keepers["attic"].calls, shown.pilot)
        assert shown.keeper.calls == []


async def test_a_failed_task_offers_the_model_it_lacked() -> None:
    failed = scene.ended(7, TaskState.FAILED, 5, text=scene.LACKING, fault=scene.LACKS_MODEL)
    other = scene.ended(8, TaskState.FAILED, 9, text="the connection broke")
    async with models(more=[other, failed], key="3") as shown:
        await shown.press("g")
        assert "F pull model" in text(shown.app)
        await shown.press("F")
        assert isinstance(shown.screen, PullScreen)
        assert "qwen3:9b" in text(shown.app)
        await shown.press("enter")
        await until(lambda: shown.keeper.calls == [("pull", "qwen3:9b")], shown.pilot)
        await shown.press("j")
        assert "F pull model" not in text(shown.app)
        await shown.press("F")
        assert shown.app.last_notice == "#8 did not fail because of a missing model"
        await shown.press("k", "enter")
        await shown.seen("F pull ")
        await shown.press("F")
        assert isinstance(shown.screen, PullScreen)


async def test_it_is_pulled_to_the_core_that_lacked_it() -> None:
    infos = [CoreInfo(name, True, "m", where=f"{name}:11434", kind="ollama") for name in ("den", "attic")]
    fault = TaskFault("no_model", "qwen3:9b", "attic")
    failed = scene.ended(7, TaskState.FAILED, 5, text="model 'qwen3:9b' not found at attic:11434", fault=fault)
    async with models(*infos, keeping=("den", "attic"), more=[failed], key="3") as shown:
        await shown.press("g", "F", "enter")
        await until(lambda: shown.keepers["attic"].calls == [("pull", "qwen3:9b")], shown.pilot)
        await shown.press("enter")
        await shown.seen("F pull ")
        await shown.press("F")
        await shown.seen("to attic")
        assert shown.keepers["den"].calls == []


async def test_a_task_that_failed_long_ago_offers_it_too() -> None:
    async with models(key="3") as shown:
        history = shown.app.runtime.history
        assert isinstance(history, FakeHistory)
        fault = TaskFault("no_model", "old:7b", "ollama")
        record = sample_tasks.record(9, TaskState.FAILED, error="model 'old:7b' not found", fault=fault)
        history.details[9] = sample_tasks.Facts(record, ())
        await shown.app.push_screen(TaskScreen(9))
        await shown.seen("F pull ")
        await shown.press("F")
        await shown.seen("old:7b")
        assert isinstance(shown.screen, PullScreen)


async def test_a_flood_of_progress_does_not_keep_it_from_its_keys() -> None:
    async with models() as shown:
        await shown.press("F", *"n:1", "enter")
        for n in range(20_000):
            shown.keeper.steps.put_nowait(PullProgress(f"step {n % 97}", n, 20_000))
        await shown.press("j", "j")
        assert shown.app.screen.query_one(ModelList).cursor == 2
        assert shown.app.model_jobs.running, "the keys did not wait for the end of the flood"
        shown.keeper.steps.put_nowait(None)
        await shown.reported("n:1 is pulled")


async def test_before_the_core_has_started() -> None:
    async with opened([], trouble="no such core") as (app, pilot, _):
        await pilot.press("m")
        await pilot.pause()
        for key in ("F", "l", "d", "ctrl+r", "enter"):
            await pilot.press(key)
        await pilot.pause()
        assert isinstance(cast("Screen[Any]", app.screen), ModelsScreen)
        assert "no model is selected" in app.last_notice


@pytest.mark.parametrize(
    ("fault", "model"),
    [
        (TaskFault("no_model", "qwen3:9b", "ollama"), "qwen3:9b"),
        (TaskFault("no_model", "a/b:c", None), "a/b:c"),
        (TaskFault("no_model", "\x1b[2J", "ollama"), "\ufffd[2J"),
        (TaskFault("no_model", "two words", "ollama"), None),
        (TaskFault("no_model", None, "ollama"), None),
        (TaskFault("broken_stream", "qwen3:9b", "ollama"), None),
        (None, None),
    ],
)
def test_the_missing_model_is_the_faults(fault: TaskFault | None, model: str | None) -> None:
    assert missing_model(fault) == model


def test_a_share_is_all_or_nothing_only_when_it_is() -> None:
    assert [share_text(share) for share in (0, 0.001, 0.69, 0.9999, 1)] == ["0 %", "0 %", "69 %", "99 %", "100 %"]
    assert warning(replace(BIG, size_vram=0)).startswith("it runs on the processor")
    assert warning(replace(BIG, size_vram=BIG.size_loaded)) == ""
    assert warning(SMALL) == ""
