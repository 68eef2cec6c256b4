"""Tasks and their outcomes as columns: a million tasks are some arrays, not a million objects."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

UNKNOWN = math.nan
"""Marks an entry of a column of seconds that did not happen or was not measured."""


@dataclass(slots=True)
class TaskColumns:
    """The tasks of a replay in order of arrival. All columns have one entry a task, or are empty where said.

    Attributes:
        at: arrival, seconds from the start of the workload, never falling.
        priority: 0 (most urgent) … 9.
        service: seconds of execution on a slot, loading a model left out.
        prefill: of that, seconds to the first token; empty: not known.
        rounds: how many syscalls the service is split over, evenly; empty: one each.
        client, model: indices into `clients` and `models`, 0 is "none named"; empty: none named at all.
        ids: the tasks' names; empty: `t1`, `t2`, …
    """

    at: array[float]
    priority: array[int]
    service: array[float]
    prefill: array[float] = field(default_factory=lambda: array("d"))
    rounds: array[int] = field(default_factory=lambda: array("H"))
    client: array[int] = field(default_factory=lambda: array("L"))
    model: array[int] = field(default_factory=lambda: array("L"))
    clients: list[str] = field(default_factory=lambda: [""])
    models: list[str] = field(default_factory=lambda: [""])
    ids: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.at)

    def id(self, index: int) -> str:
        """The name of the task at `index`."""
        return self.ids[index] if self.ids else f"t{index + 1}"

    def client_name(self, index: int) -> str:
        """The client of the task at `index`, empty when none is named."""
        return self.clients[self.client[index]] if self.client else ""

    def check(self) -> None:
        """Raise ValueError when the columns do not belong together or an entry is out of range."""
        n = len(self.at)
        for name in ("priority", "service", "prefill", "rounds", "client", "model", "ids"):
            if len(getattr(self, name)) not in ((n,) if name in ("priority", "service") else (0, n)):
                raise ValueError(f"the column {name} has not one entry a task")
        if not all(map(math.isfinite, self.at)) or not all(map(math.isfinite, self.service)):
            raise ValueError("arrivals and service times are finite numbers of seconds")
        if n and (min(self.service) < 0 or (self.rounds and min(self.rounds) < 1)):
            raise ValueError("service times are 0 or more, rounds 1 or more")
        if any(map(float.__gt__, self.at, self.at[1:])):
            raise ValueError("arrivals are not in order")


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """An operator's action at a moment, in seconds, other than a switch of policy.

    `task`: an index into the table, None for `pause` and `resume`.
    """

    at: float
    op: Literal["priority", "cancel", "hold", "release", "pause", "resume"]
    task: int | None = None
    priority: int | None = None


@dataclass(slots=True)
class Run:
    """One replay of tasks under one policy, virtual or live. Metrics, reports and figures are made from it.

    Times are seconds from the start of the workload (of its replay, when live); UNKNOWN where a task did not get that
    far.

    Attributes:
        policy: its canonical name at the start. slots: those of all cores together.
        start, end: of each task: first dispatch, and end of its last round.
        service: seconds spent executing, as simulated or measured.
        ttft: first dispatch to first token; empty: not known.
        order: indices of tasks in the order of their first dispatch.
        failed: indices of tasks that failed or were cancelled.
        swaps: models that left a core's memory for another one, on cores known to hold a limited number.
        load_s: seconds that attempts waited for a model to load, added up over the attempts.
        switches: changes of policy on the way, as (time, name).
        note: the conditions, for the report: rates, core, seed.
    """

    policy: str
    kind: Literal["virtual", "live"]
    slots: int
    tasks: TaskColumns
    start: array[float]
    end: array[float]
    service: array[float]
    order: array[int]
    ttft: array[float] = field(default_factory=lambda: array("d"))
    failed: frozenset[int] = frozenset()
    swaps: int = 0
    load_s: float = 0.0
    switches: tuple[tuple[float, str], ...] = ()
    note: str = ""
