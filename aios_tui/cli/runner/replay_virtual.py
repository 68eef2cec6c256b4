"""Replays in virtual time: a simulation of the same scheduler, without a core."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aios_tui.cli.exit_codes import OK
from aios_tui.cli.output import print_note
from aios_tui.cli.runner.replay_plan import ReplayPlan
from aios_tui.cli.runner.replay_results import keep_virtual
from aios_tui.config import paths
from aios_tui.reporting.results import Results, gather
from aios_tui.workloads.calibration import Calibration, from_bench, from_history
from aios_tui.workloads.simulation import SimulationSetup, round_counter, simulate_workload
from engine.agents.catalogue import load_catalogue
from engine.errors import UsageError
from engine.replay.inputs import ReplayInput
from engine.replay.service_model import Rates, ServiceModel
from engine.scheduling import Policy, parse_policy
from engine.wording import plural
from persistence import History, SqliteStore


async def run_virtual(plan: ReplayPlan, path: Path) -> tuple[Results, int]:
    """Simulate the plan's workload under each of its policies. Returns the results and the exit code.

    The code is 0: a simulated task fails only when the workload cancels it.
    """
    results = await asyncio.to_thread(_simulate, plan, path, await _calibrate(plan))
    for note in results.notes:
        print_note(note)
    if plan.keep:
        await keep_virtual(SqliteStore(plan.settings.db, program="replay"), results)
    return results, OK


def _simulate(plan: ReplayPlan, path: Path, calibration: Calibration) -> Results:
    """Simulate one run per policy; blocks."""
    catalogue, _ = load_catalogue(plan.settings.agents_folder)
    loads = plan.loads or calibration.load_s
    setup = SimulationSetup(plan.settings.slots or 1, calibration, loads, round_counter(catalogue))
    runs, inputs, complete = simulate_workload(path, setup, lambda own: schedules(plan, own))
    return gather(path.name, [(run, True) for run in runs], _notes(plan, inputs, calibration.service, complete))


def schedules(plan: ReplayPlan, own: list[tuple[float, Policy]]) -> list[tuple[Policy, list[tuple[float, Policy]]]]:
    """Return (initial policy, later switches) per run; without --policy one run with the workload's `own`."""
    if plan.policies:
        return [(policy, own if plan.switches else []) for policy in plan.policies]
    first, rest = parse_policy(plan.settings.policy), own
    while rest and rest[0][0] <= 0:
        first, rest = rest[0][1], rest[1:]
    return [(first, rest)]


def _notes(plan: ReplayPlan, inputs: ReplayInput, service: ServiceModel, complete: bool) -> list[str]:
    """Return a line for each assumption of the simulation and each part of the workload it ignores."""
    notes = []
    if inputs.estimated:
        drawn = f", drawn from seed {service.seed} with that mean" if service.seed is not None else ""
        notes.append(
            f"{inputs.estimated} of {len(inputs.tasks)} tasks lack token counts: a prompt is estimated at one token per"
            f" 4 characters, a reply at {service.reply_tokens} tokens{drawn}"
        )
    if inputs.given and not service.use_given:
        notes.append(f"{plural(inputs.given, 'task')} with a service time of its own: replaced by the rates")
    if inputs.switches and plan.policies and not plan.switches:
        switches = plural(len(inputs.switches), "switch", "switches")
        notes.append(f"the workload's own {switches} of policy left out; --switches includes them")
    if inputs.strays:
        notes.append(f"{plural(inputs.strays, 'control')} left out: no task has that name")
    if not complete:
        notes.append("the workload has no end record: it may have been cut")
    return notes


async def _calibrate(plan: ReplayPlan) -> Calibration:
    """Return the rates that the plan asks for. Raises UsageError or StoreError when nothing was measured."""
    if not plan.calibrate:
        default = Rates()
        rates = Rates(plan.prefill or default.prefill, plan.decode or default.decode)
        given = plan.prefill is not None or plan.decode is not None
        return Calibration(ServiceModel(rates, use_given=not given, seed=plan.seed))
    if plan.calibrate.startswith("bench"):
        core = plan.calibrate.partition(":")[2] or None
        return await asyncio.to_thread(from_bench, paths.bench_file(), core, plan.settings.slots or 1, seed=plan.seed)
    try:
        async with History(plan.settings.db) as history:
            return from_history(await history.timings(), seed=plan.seed)
    except ValueError as error:
        raise UsageError(f"--calibrate: {error}") from None
