"""The models of one core: which it has, which are in memory, and how well a further attempt suits it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple


class Fit(IntEnum):
    """Fit of an item and a free slot. Lower is better: the values are compared.

    `held`: its model is in memory. `room`: its model is loaded, and none has to leave. `swap`: another model has to
    leave memory, or may have to where the limit is not known. `drain`: another one has to leave and still executes.
    `never`: it can't run there, now or at all.
    """

    HELD = 0
    ROOM = 1
    SWAP = 2
    DRAIN = 3
    NEVER = 4


class Load(NamedTuple):
    """The effect of an attempt's start: `needed`, its model was not in memory; `evicted`, the model that left for it,
    None if none is known to have left.
    """

    needed: bool
    evicted: str | None


@dataclass(frozen=True, slots=True)
class ModelReport:
    """A core's report on its models.

    Attributes:
        names: the core's own name of a model, by each name and alias that the core accepts.
        loaded: own names of the models in memory, least recently used first where that is known.
        default: the model that serves attempts that name none.
        memory: models it holds in memory at once; None if not known.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    loaded: Sequence[str] = ()
    default: str | None = None
    memory: int | None = None


class CoreModels:
    """The models of one core, from its reports and from the attempts that began there since.

    Attributes:
        memory: models it holds in memory at once, None if not known. At the limit a model leaves before another is
            loaded, and a model that executes can't leave.
        several: it may have more than one model, so that a swap is possible.
        seen: it reported while a slot of it was up, so a model missing from that report is missing on the core.
    """

    def __init__(self) -> None:
        self.memory: int | None = None
        self.seen = False
        self.several = True
        self._held: dict[str, None] = {}  # own names, least recently used first
        self._names: Mapping[str, str] = {}
        self._default: str | None = None
        self._reports_loaded = False  # it has reported a model in memory at least once

    @property
    def held(self) -> set[str]:
        """Models in memory, by the core's own names."""
        return set(self._held)

    @property
    def unknown(self) -> bool:
        """True if the core has reported no models, so that it may have any."""
        return not self._names

    def copy(self) -> CoreModels:
        """An independent copy. O(models in memory)."""
        twin = copy(self)
        twin._held = dict(self._held)
        return twin

    def has(self, model: str | None) -> bool:
        """True if the core has the model, or for None a default model."""
        if model is not None:
            return model in self._names
        return self._default is not None and (self.unknown or self._default in self._names)

    def own_name(self, model: str | None) -> str | None:
        """The core's own name of a model, or for None of its default; None without a known default."""
        wanted = self._default if model is None else model
        return None if wanted is None else self._names.get(wanted, wanted)

    def learn(self, report: ModelReport, begun: Collection[str], *, healthy: bool, seen: bool) -> None:
        """Replace the known models by a report. A core that is down and reports no models keeps those it had.

        `begun`: models of attempts that have begun; they may have been loading at the moment of the report.
        `seen`: a slot of the core was up when the report was asked for, or the report itself shows that it is up.
        """
        self.seen = self.seen or seen
        if not healthy and not report.names:
            return
        self.memory = report.memory
        self._default = report.default
        self._names = report.names
        self.several = len(set(report.names.values())) != 1
        self._reports_loaded = self._reports_loaded or bool(report.loaded)
        if self._reports_loaded:
            in_order = [*(model for model in self._held if model in report.loaded), *report.loaded]
            idle = [model for model in dict.fromkeys(in_order) if model not in begun]
            if self.memory is not None and begun:
                idle = idle[max(0, len(idle) - max(0, self.memory - len(begun))) :]
            self._held = dict.fromkeys((*idle, *begun))

    def holds(self, model: str | None, executing: Collection[str] = ()) -> bool:
        """True if an attempt with the model, or the default for None, loads nothing.

        A name that the core is known to lack loads nothing either: the core refuses it.
        """
        wanted = self.own_name(model)
        return wanted is None or wanted in executing or wanted in self._held or self._refuses(wanted)

    def fit(self, model: str | None, executing: AbstractSet[str]) -> Fit:
        """Return the fit of an attempt with the model and the core while `executing` models have slots there."""
        wanted = self.own_name(model)
        if wanted is None or self._refuses(wanted):
            return Fit.HELD
        if self.memory is not None and len(executing) - (wanted in executing) >= self.memory:
            return Fit.DRAIN
        if wanted in executing or wanted in self._held:
            return Fit.HELD
        in_memory = len(executing) + sum(model not in executing for model in self._held)
        return Fit.SWAP if in_memory >= (self.memory or 1) else Fit.ROOM

    def use(self, model: str | None, executing: Collection[str]) -> Load:
        """Record that an attempt with the model begins. At the limit the least recently used idle model leaves."""
        wanted = self.own_name(model)
        if wanted is None or self._refuses(wanted):
            return Load(False, None)
        if wanted in self._held:
            del self._held[wanted]
            self._held[wanted] = None
            return Load(False, None)
        evicted = None
        while self.memory is not None and len(self._held) >= self.memory:
            idle = (model for model in self._held if model not in executing)
            evicted = next(idle, next(iter(self._held)))
            del self._held[evicted]
        self._held[wanted] = None
        return Load(True, evicted)

    def _refuses(self, name: str) -> bool:
        return bool(self._names) and name not in self._names
