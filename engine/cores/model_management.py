"""What a core offers besides running attempts, when its models can be fetched, removed, loaded and unloaded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from engine.cores.port import Core, ModelInfo


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is: `status` in the server's words, `done` of `total` bytes of the layer that is being fetched.

    `total` 0 means the server does not say.
    """

    status: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """All that a core tells of one model, sanitised. What it does not tell is empty.

    Attributes:
        parameters: as set in its model file, one a line. facts: family, format, quantisation … by name.
    """

    info: ModelInfo
    family: str = ""
    parameter_size: str = ""
    quantization: str = ""
    template: str = ""
    parameters: str = ""
    license: str = ""
    system: str = ""
    modified_at: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class ModelManager(Protocol):
    """All raise CoreError, with one line, when the server refuses, is not there, or does not know the model.

    Each sends the core's `models` event when something has changed by it.
    """

    async def show(self, model: str) -> ModelDetails:
        """Look one model up."""

    def pull(self, model: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch a model from the server's library; ends when it is installed. Closing it early stops the fetch."""

    async def delete(self, model: str) -> None:
        """Remove an installed model. The caller has asked the operator."""

    async def load(self, model: str, keep_alive: str | None = None) -> float:
        """Have a model in memory now; returns how many seconds the load took."""

    def choose_default(self, model: str) -> None:
        """Have attempts that name no model answered by this one from now on, as long as the core lasts."""

    async def unload(self, model: str) -> None:
        """Take a model out of memory now. Nothing when it is not in it."""


def model_manager_of(core: Core) -> ModelManager | None:
    """The core as a keeper of models, None when its models are not to be managed."""
    return core if isinstance(core, ModelManager) else None
