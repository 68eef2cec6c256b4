"""Model management: an optional part of a core, to fetch, delete, load and unload models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from engine.cores.port import Core, ModelInfo


@dataclass(frozen=True, slots=True)
class PullProgress:
    """The progress of a pull: `status` in the server's words, `done` of `total` bytes of the current layer.

    `total` is 0 if the server does not report it.
    """

    status: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """All that a core reports about one model, sanitised. A missing fact is empty.

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
    """A core whose models can be managed.

    All methods raise CoreError, with one line, if the server refuses, is down, or does not have the model. Each sends
    the core's `models` event after a change.
    """

    async def show(self, model: str) -> ModelDetails:
        """Return the details of a model."""

    def pull(self, model: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch a model from the server's library; ends when it is installed. Closing it early stops the fetch."""

    async def delete(self, model: str) -> None:
        """Remove an installed model. The caller has asked the operator."""

    async def load(self, model: str, keep_alive: str | None = None) -> float:
        """Load a model into memory; return the duration of the load in seconds."""

    def choose_default(self, model: str) -> None:
        """Make this the default model for as long as the core lives."""

    async def unload(self, model: str) -> None:
        """Unload a model. Does nothing if it is not in memory."""


def model_manager_of(core: Core) -> ModelManager | None:
    """Return the core as a ModelManager; None if its models cannot be managed."""
    return core if isinstance(core, ModelManager) else None
