"""When to inspect a core again, because its loaded models or its health may have changed.

No server reports unasked that another client loaded a model or that a keep-alive time ran out. Inspecting on a fixed
interval would keep idle servers awake, so each inspection has a reason: an attempt streamed or ended, a model's
keep-alive time is over, attempts have executed for a while, or the core was found unhealthy. An idle core with nothing
loaded is left alone. Pure functions of times; `core_monitor.py` sets the timers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from engine.cores.port import CoreInfo

MIN_GAP_S = 1.0
"""Least time between two inspections for any reason; also for urgent ones, such as a change that the core reported."""
GAP_S = 5.0
"""Least time between two inspections because attempts streamed or ended."""
BUSY_S = 30.0
"""Time between inspections while attempts execute, or while a model stays loaded past its keep-alive time."""
UNHEALTHY_S = 2.0, 15.0
"""Shortest and longest time between inspections of an unhealthy core; in between, as long as it has been unhealthy."""
UNLOAD_S = 1.0
"""Time that a server gets to unload a model after its keep-alive time."""
LATE_S = 300.0
"""Time for which a model that should be unloaded is still expected to go: the server's clock may differ."""


@dataclass(slots=True)
class CoreActivity:
    """The activity of one core since its last inspection. Times in Unix seconds, -inf for never.

    Attributes:
        info: the last inspection's result. began, ended: when that inspection began and was answered.
        reports: the core says which models are in memory, and that can change without the kernel.
        requested_at: when an inspection was last begun for one of the reasons here.
        changed_at: when an attempt last streamed its first token or ended.
        urgent_at: when the core last reported a change, or a model that had to be loaded last began to stream.
        executing: attempts that execute now.
        unhealthy_since: when it was first found unhealthy; None while it is healthy.
        all_down: all of its slots are down, so the core itself probes its server and reports when it is back.
    """

    info: CoreInfo | None = None
    began: float = -math.inf
    ended: float = -math.inf
    reports: bool = False
    requested_at: float = -math.inf
    changed_at: float = -math.inf
    urgent_at: float = -math.inf
    executing: int = 0
    unhealthy_since: float | None = None
    all_down: bool = False

    def learn(self, info: CoreInfo, *, began: float, ended: float) -> None:
        """Record an inspection."""
        self.info, self.began, self.ended = info, began, ended
        self.reports = _reports(info)
        if info.healthy:
            self.unhealthy_since = None
        elif self.unhealthy_since is None:
            self.unhealthy_since = ended

    def is_stale(self, now: float) -> bool:
        """True if another client may have changed the loaded models since the last inspection."""
        return self.reports and now >= self.began + MIN_GAP_S


def _reports(info: CoreInfo) -> bool:
    if not info.healthy:
        return False
    if info.kind == "ollama":  # it reports that also when nothing is in memory
        return True
    return len({model.loaded for model in info.models}) > 1 or any(model.expires_at for model in info.models)


def due_at(core: CoreActivity) -> float | None:
    """The time of the next inspection, Unix seconds, perhaps in the past; None if there is no reason for one."""
    due = min(_due_times(core), default=None)
    return None if due is None else max(due, core.requested_at + MIN_GAP_S)


def _due_times(core: CoreActivity) -> Iterator[float]:
    if core.urgent_at > core.began:
        yield core.urgent_at
    if core.info is None:
        return
    if core.unhealthy_since is not None and not core.all_down:
        shortest, longest = UNHEALTHY_S
        yield core.ended + min(longest, max(shortest, core.ended - core.unhealthy_since))
    if not core.reports:
        return
    if core.changed_at > core.began:
        yield max(core.changed_at, core.ended + GAP_S)
    if core.executing:
        yield core.ended + BUSY_S
    for model in core.info.models:
        if model.loaded and model.expires_at is not None:
            unloaded = model.expires_at + UNLOAD_S
            if unloaded > core.began:
                yield max(unloaded, core.ended + GAP_S)
            elif core.ended + BUSY_S < unloaded + LATE_S:
                yield core.ended + BUSY_S
