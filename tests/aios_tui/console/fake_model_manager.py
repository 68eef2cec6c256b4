"""A core that keeps models, for tests of the console: what it is asked for waits until the test lets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

from engine.cores.model_management import ModelDetails, PullProgress
from engine.cores.port import CoreInfo, ModelInfo
from engine.errors import CoreError
from tests.aios_tui.console import scene

BIG = ModelInfo(
    "qwen3:8b", 5_200_000_000, True, 6_100_000_000, 4_200_000_000, expires_at=scene.NOW + 252, context_length=8192,
    detail="8.2B Q4_K_M", capabilities=("completion", "tools", "thinking"),
)  # fmt: skip
SMALL = ModelInfo("smollm2:135m", 98_362_793, detail="134.52M Q4_1", capabilities=("completion",))
EMBEDDER = ModelInfo(
    "nomic-embed-text:latest",
    274_302_450,
    aliases=("nomic-embed-text",),
    capabilities=("embedding",),
    detail="137M F16",
)
ODD = ModelInfo("日本語\x1b[2J[/foo]:7b", 4_100_000_000, detail="[red]")
INFO = CoreInfo("ollama", True, "qwen3:8b", (BIG, SMALL, EMBEDDER, ODD), "0.35.1", "http://127.0.0.1:11434")


class FakeKeeper:
    """Records in `calls`. A pull gives what is put into `steps`; an error there is raised, None ends it."""

    def __init__(self, name: str = "ollama") -> None:
        self.name = name
        self.calls: list[tuple[str, str]] = []
        self.steps: asyncio.Queue[PullProgress | CoreError | None] = asyncio.Queue()
        self.closed = 0
        self.refusal: CoreError | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.details = ModelDetails(
            info=BIG, family="qwen3", parameter_size="8.2B", quantization="Q4_K_M", template="{{ .Prompt }}",
            parameters="temperature                    0.6\nstop                           \"<|im_end|>\"",
            license="Apache License\n" * 20, system="Be brief. [/foo]", modified_at=scene.NOW - 86_400,
            facts={"format": "gguf", "qwen3.context_length": "40960"},
        )  # fmt: skip

    async def show(self, model: str) -> ModelDetails:
        await self._asked("show", model)
        return replace(self.details, info=replace(self.details.info, name=model))

    async def pull(self, model: str) -> AsyncGenerator[PullProgress, None]:
        self.calls.append(("pull", model))
        try:
            while (step := await self.steps.get()) is not None:
                if isinstance(step, CoreError):
                    raise step
                yield step
        finally:
            self.closed += 1

    async def delete(self, model: str) -> None:
        await self._asked("delete", model)

    async def load(self, model: str, keep_alive: str | None = None) -> float:
        await self._asked("load", model)
        return 3.2

    def choose_default(self, model: str) -> None:
        self.calls.append(("default", model))

    async def unload(self, model: str) -> None:
        await self._asked("unload", model)

    async def _asked(self, what: str, model: str) -> None:
        self.calls.append((what, model))
        await self.go.wait()
        if self.refusal is not None:
            raise self.refusal
