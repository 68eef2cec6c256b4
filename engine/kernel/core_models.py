"""What the kernel knows of the models of one core: which it has, and which it holds in memory."""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Set as AbstractSet

from engine.cores.port import CoreInfo
from engine.scheduling import Fit


class CoreModels:
    """From what a core said when last looked at, and what ran there since.

    Attributes:
        held: models in memory, by the core's own names.
        one_at_a_time: it holds one at a time, so that another one can come only when nothing executes.
        seen: it was looked at while it was up, so that what it did not tell of then it does not tell of.
    """

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.one_at_a_time = False
        self.seen = False
        self._names: dict[str, str] = {}
        self._several = True
        self._default: str | None = None
        self._tells = False  # it has ever said that a model is in memory

    @property
    def unknown(self) -> bool:
        """Whether the core has told no models, so that it may have any."""
        return not self._names

    @property
    def several(self) -> bool:
        """Whether it may have more than one model, so that there may be something to swap."""
        return self._several

    def _refuses(self, name: str) -> bool:
        return bool(self._names) and name not in self._names

    def has(self, model: str | None) -> bool:
        """Whether the core has the model, or for None the one that answers by default."""
        if model is not None:
            return model in self._names
        return self._default is not None and (self.unknown or self._default in self._names)

    def own_name(self, model: str | None) -> str | None:
        """The core's name for a model, or for its default; None when it has told none."""
        wanted = self._default if model is None else model
        return None if wanted is None else self._names.get(wanted, wanted)

    def learn(self, info: CoreInfo, executing: AbstractSet[str], *, up: bool) -> None:
        """Take in a look at the core. One that is down and says nothing still has what it had.

        `up`: whether a slot of it was up when the look began.
        """
        self.seen = self.seen or up or info.healthy or bool(info.models or info.version)
        if not info.healthy and not info.models:
            return
        self.one_at_a_time = info.one_model
        self._default = info.default_model
        self._names = {alias: model.name for model in info.models for alias in model.aliases}
        self._names |= {model.name: model.name for model in info.models}
        self._several = len(info.models) != 1
        told = {model.name for model in info.models if model.loaded}
        self._tells = self._tells or bool(told)
        if self._tells:  # what executes was perhaps being loaded when the core was looked at
            self.held = set(executing) if self.one_at_a_time and executing else told | executing

    def holds(self, model: str | None, executing: Container[str]) -> bool:
        """Whether an attempt with the model, or the default for None, needs nothing loaded.

        For a name that the core is known not to have it loads nothing: it refuses.
        """
        wanted = self.own_name(model)
        return wanted is None or wanted in executing or wanted in self.held or self._refuses(wanted)

    def fit(self, model: str | None, executing: AbstractSet[str]) -> Fit:
        """How an attempt with the model suits the core while others execute."""
        wanted = self.own_name(model)
        if self.one_at_a_time and executing - {wanted} and wanted is not None and not self._refuses(wanted):
            return Fit.DRAIN
        if self.holds(model, executing):
            return Fit.HELD
        return Fit.SWAP if self.held or executing else Fit.ROOM

    def use(self, model: str | None) -> str | None:
        """An attempt with the model begins; returns the one that goes for it, if that is known."""
        wanted = self.own_name(model)
        if wanted is None or wanted in self.held or self._refuses(wanted):
            return None
        gone = next(iter(self.held), None) if self.one_at_a_time else None
        if self.one_at_a_time:
            self.held.clear()
        self.held.add(wanted)
        return gone
