"""Predicts the next model swap of each core from the items that are ready."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from engine.events import Event, SwapPlanned
from engine.kernel.slot_table import SlotTable
from engine.scheduling import Affinity, LaneScheduler, Ready


class SwapPlanner:
    """Publishes an event when the next swap of a core changes or is no longer needed.

    Attributes:
        planned: the next swap by core.
    """

    def __init__(
        self,
        ready: LaneScheduler[tuple[int, int]],
        slots: SlotTable,
        publish: Callable[[Event], None],
        now: Callable[[], float],
    ) -> None:
        self._ready = ready
        self._slots = slots
        self._publish = publish
        self._now = now
        self.planned: dict[str, SwapPlanned] = {}

    def update(self) -> None:
        """Predict again, after an item was dispatched, came or left. O(lanes · cores)."""
        plans: dict[str, SwapPlanned] = {}
        models = self._slots.models.values()
        if not self.planned and not (len(self._ready) and any(each.several for each in models)):
            return
        if any(each.held for each in models):
            for _, _, _, item in self._ready.heads():
                for core in self._swapping_for(item):
                    plans.setdefault(core, self._plan(core, item))
        for core in self._slots.models:
            plan = plans.get(core)
            before = self.planned.get(core)
            if plan is None and before is not None:
                self._publish(SwapPlanned(self._now(), core, "", "", 0))
            elif plan is not None and (before is None or replace(before, at=plan.at) != plan):
                self._publish(plan)
        self.planned = plans

    def _swapping_for(self, item: Ready[tuple[int, int]]) -> list[str]:
        """The cores that suit the item, if all of them would have to load its model."""
        suited = [(core, models) for core, models in self._slots.models.items() if self._slots.suits(core, item.model)]
        if any(models.holds(item.model, self._slots.executing(core)) for core, models in suited):
            return []
        return [core for core, models in suited if models.held]

    def _plan(self, core: str, item: Ready[tuple[int, int]]) -> SwapPlanned:
        models, policy = self._slots.models[core], self._ready.policy
        passes, seconds = (policy.passes, policy.seconds) if isinstance(policy, Affinity) else (0, math.inf)
        return SwapPlanned(
            at=self._now(),
            core=core,
            from_model=", ".join(sorted(models.held)),
            to_model=models.own_name(item.model) or "",
            task=item.id[0],
            passes_left=None if math.isinf(passes) else max(0, int(passes) - item.passes),
            until=None if math.isinf(seconds) or item.passed_at is None else item.passed_at + seconds,
        )
