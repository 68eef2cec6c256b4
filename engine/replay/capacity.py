"""The cores of a virtual replay: slots, models and load times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.replay.tables import TaskColumns
from engine.scheduling.core_models import CoreModels, ModelReport
from engine.scheduling.placement import PlacedSlot, Placement


@dataclass(frozen=True, slots=True)
class VirtualCore:
    """One core in virtual time.

    Attributes:
        slots: attempts that run at once.
        load_s: seconds to load a model, by its name; other models load in `default_load_s` seconds.
        memory: models in memory at once. At the limit another one is loaded only when a loaded one is idle, as on a
            live core that holds one model at a time. None: no limit, each model is loaded once.
        models: the models it has; empty for all that the workload names.
        default_model: the model of tasks that name none; None if they run on whatever is loaded.
        name: unique among the cores of a replay; empty for `core1`, `core2`, …
    """

    slots: int = 1
    load_s: Mapping[str, float] = field(default_factory=dict)
    default_load_s: float = 0.0
    memory: int | None = None
    models: tuple[str, ...] = ()
    default_model: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError("there is at least one slot")
        if not all(math.isfinite(s) and s >= 0 for s in (*self.load_s.values(), self.default_load_s)):
            raise ValueError("a load time is a number of seconds, 0 or more")
        if self.memory is not None and self.memory < 1:
            raise ValueError("a core holds at least one model in memory")

    @property
    def loads(self) -> bool:
        """True if a load takes time."""
        return bool(self.load_s) or self.default_load_s > 0

    def seconds_to_load(self, model: str | None) -> float:
        """Seconds to load a model by its name."""
        return self.default_load_s if model is None else self.load_s.get(model, self.default_load_s)


class Capacity:
    """The cores to execute on.

    `Capacity(4)` is one core of 4 slots that needs no loading. `Capacity(4, default_load_s=8)` is one core of 4 slots
    that holds one model at a time and takes 8 s to load another, as `--core scripted:slots=4,load=8` is live.
    `Capacity(cores=[…])` describes any cores, in the order in which free slots are offered.
    """

    __slots__ = ("cores",)

    def __init__(
        self,
        slots: int = 1,
        load_s: Mapping[str, float] | None = None,
        default_load_s: float = 0.0,
        *,
        cores: Sequence[VirtualCore] = (),
    ) -> None:
        """Raises ValueError for a number out of range, or two cores of one name."""
        if not cores:
            core = VirtualCore(slots, load_s or {}, default_load_s)
            cores = [replace(core, memory=1) if core.loads else core]
        self.cores = {core.name or f"core{number}": core for number, core in enumerate(cores, 1)}
        if len(self.cores) < len(cores):
            raise ValueError("two cores have the same name")

    @property
    def slots(self) -> int:
        """Slots of all cores together."""
        return sum(core.slots for core in self.cores.values())

    def alike_for(self, tasks: TaskColumns) -> bool:
        """Return True when any slot does for any task at any time, so that models need not be distinguished."""
        if len(self.cores) > 1:
            return False
        (core,) = self.cores.values()
        return (core.memory is None and not core.loads) or not (tasks.model or core.default_model)

    def placement(self, models: Sequence[str]) -> Placement[PlacedSlot]:
        """All slots free and nothing loaded, but on cores where no load takes time. `models`: those of the workload.

        Raises:
            ValueError: no core has one of the models.
        """
        placement: Placement[PlacedSlot] = Placement()
        for name, core in self.cores.items():
            own = core.models or tuple(models)
            loaded = own if core.memory is None and not core.loads else ()
            report = ModelReport({model: model for model in own}, loaded, core.default_model, core.memory)
            state = CoreModels()
            state.learn(report, (), healthy=True, seen=True)
            placement.add_core(name, [PlacedSlot(f"{name}/{n}", name) for n in range(core.slots)], state)
        missing = [model for model in models if not any(state.has(model) for state in placement.models.values())]
        if missing:
            raise ValueError(f"no core has the model {missing[0]!r}")
        return placement
