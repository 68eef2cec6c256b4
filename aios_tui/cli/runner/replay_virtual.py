"""Replays in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aios_tui.cli.exit_codes import WELL
from aios_tui.cli.output import Output
from aios_tui.cli.runner.replay_keep import keep_virtual
from aios_tui.cli.runner.replay_plan import ReplayPlan
from aios_tui.config import paths
from aios_tui.reporting.results import Results, gather
from aios_tui.workloads.calibration import Calibration, from_bench, from_history
from aios_tui.workloads.simulation import SimulationSetup, round_counter, simulate_workload
from engine.agents.catalogue import load_catalogue
from engine.errors import UsageError
from engine.replay.inputs import ReplayInput
from engine.replay.service_model import Rates, ServiceModel
from engine.scheduling import Policy, parse_policy
from persistence import History

_DEFAULTS = Rates()


async def run_virtual(plan: ReplayPlan, path: Path, out: Output) -> tuple[Results | None, int]:
    """Simulate the plan's workload under each of its policies."""
    results = await asyncio.to_thread(_simulated, plan, path, await _calibration(plan))
    for note in results.notes:
        out.say(note)
    if plan.keep:
        await keep_virtual(plan, results, out)
    return results, WELL


def _simulated(plan: ReplayPlan, path: Path, calibration: Calibration) -> Results:
    catalogue, _ = load_catalogue(plan.settings.agents_folder)
    loads = plan.loads or calibration.load_s
    setup = SimulationSetup(plan.settings.slots or 1, calibration, loads, round_counter(catalogue))
    runs, made, complete = simulate_workload(path, setup, lambda own: schedules(plan, own))
    return gather(path.name, [(run, True) for run in runs], _notes(plan, made, calibration.service, complete))


def schedules(plan: ReplayPlan, own: list[tuple[float, Policy]]) -> list[tuple[Policy, list[tuple[float, Policy]]]]:
    """For each run the policy it begins with, and its switches. The workload's own count when none is asked for."""
    if plan.policies:
        return [(policy, own if plan.switches else []) for policy in plan.policies]
    first, rest = parse_policy(plan.settings.policy), own
    while rest and rest[0][0] <= 0:
        first, rest = rest[0][1], rest[1:]
    return [(first, rest)]


def _notes(plan: ReplayPlan, made: ReplayInput, service: ServiceModel, complete: bool) -> list[str]:
    notes = []
    if made.estimated:
        drawn = f", drawn from seed {service.seed} with that mean" if service.seed is not None else ""
        notes.append(
            f"{made.estimated} of {len(made.tasks)} tasks lack token counts: a prompt is taken as a token for each 4"
            f" characters, a reply as {service.reply_tokens} tokens{drawn}"
        )
    if made.given and not service.use_given:
        notes.append(f"{made.given} tasks bring their own service times, which --prefill and --decode replace")
    if made.switches and plan.policies and not plan.switches:
        count = len(made.switches)
        notes.append(f"the workload's own {count} switch{'' if count == 1 else 'es'} of policy left out (--switches)")
    if made.strays:
        notes.append(f"{made.strays} control{'' if made.strays == 1 else 's'} left out: no task has that name")
    if not complete:
        notes.append("the workload has no end record: it may have been cut")
    return notes


async def _calibration(plan: ReplayPlan) -> Calibration:
    """The rates that the plan asks for."""
    if not plan.calibrate:
        given = plan.prefill is not None or plan.decode is not None
        rates = Rates(plan.prefill or _DEFAULTS.prefill, plan.decode or _DEFAULTS.decode)
        return Calibration(ServiceModel(rates, use_given=not given, seed=plan.seed))
    if plan.calibrate.startswith("bench"):
        core = plan.calibrate.partition(":")[2] or None
        return await asyncio.to_thread(from_bench, paths.bench_file(), core, plan.settings.slots or 1, seed=plan.seed)
    try:
        async with History(plan.settings.db) as history:
            return await from_history(history, seed=plan.seed)
    except ValueError as error:
        raise UsageError(f"--calibrate: {error}") from None
