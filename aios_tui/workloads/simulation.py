"""Simulate a workload in virtual time, for the console and `aios-tui replay --virtual` alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aios_tui.workloads.calibration import ASSUMED, Calibration
from aios_tui.workloads.catalogue import CatalogueEntry
from engine.agents.protocol import Agents
from engine.errors import AiosError
from engine.replay.inputs import ReplayInput, columns
from engine.replay.simulate import Capacity, simulate
from engine.replay.tables import Run
from engine.scheduling import Policy, parse_policy
from engine.wording import plural
from engine.workloads.reader import WorkloadReader

POLICIES = ("fifo", "npps", "npps:ageing=60")
"""Policies under which the console simulates a workload."""

Switches = list[tuple[float, Policy]]
"""Policies, each with the time of the switch in seconds from the start."""


@dataclass(frozen=True, slots=True)
class SimulationSetup:
    """Conditions of a simulation.

    Attributes:
        load_s: seconds to load a model, by name; under "" those of all others.
        rounds_of: number of rounds by agent, None for an unknown agent.
    """

    slots: int = 1
    calibration: Calibration = ASSUMED
    load_s: Mapping[str, float] = field(default_factory=dict)
    rounds_of: Callable[[str], int | None] | None = None

    def describe(self) -> str:
        """Return rates, their origin and load times, in one line."""
        loads = "".join(f", loading {model or 'a model'} {seconds:g} s" for model, seconds in self.load_s.items())
        return f"{self.calibration.describe()}{loads}"


def round_counter(agents: Agents) -> Callable[[str], int | None]:
    """Return a function that gives an agent's number of rounds, None for an unknown agent."""

    def count_rounds(agent: str) -> int | None:
        try:
            return agents.get(agent).round_total
        except AiosError:
            return None

    return count_rounds


def simulate_workload(
    path: Path, setup: SimulationSetup, schedule: Callable[[Switches], Iterable[tuple[Policy, Switches]]]
) -> tuple[list[Run], ReplayInput, bool]:
    """Simulate one run per element of `schedule`; blocks.

    Args:
        schedule: maps the workload's own switches to (initial policy, later switches) of each run.

    Returns:
        The runs, the input they were made from, and True when the file has a valid end record.

    Raises:
        UsageError: the file can't be read.
    """
    with WorkloadReader(path) as reader:
        inputs = columns(reader, reader.header.defaults, setup.calibration.service, setup.rounds_of)
        complete = reader.complete
    capacity = Capacity(
        slots=setup.slots,
        load_s={model: seconds for model, seconds in setup.load_s.items() if model},
        default_load_s=setup.load_s.get("", 0.0),
    )
    runs = []
    for policy, switches in schedule(inputs.switches):
        run = simulate(inputs.tasks, policy, capacity, switches, inputs.acts)
        run.note = setup.describe()
        runs.append(run)
    return runs, inputs, complete


def simulate_policies(entry: CatalogueEntry, setup: SimulationSetup) -> list[Run]:
    """Simulate a workload under each of POLICIES, without its own policy switches; blocks.

    Raises:
        UsageError: the file can't be read.
    """
    with entry.file() as path:
        runs, inputs, _ = simulate_workload(path, setup, lambda _: [(parse_policy(policy), []) for policy in POLICIES])
    estimated = f", {inputs.estimated:,} of {len(inputs.tasks):,} tasks estimated" if inputs.estimated else ""
    for run in runs:
        run.note = f"{plural(setup.slots, 'slot')}, {run.note}{estimated}"
    return runs
