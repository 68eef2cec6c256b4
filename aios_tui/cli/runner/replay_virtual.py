"""Replays in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from aios_tui.cli.exit_codes import WELL
from aios_tui.cli.output import Output
from aios_tui.cli.runner.replay_keep import keep_virtual
from aios_tui.cli.runner.replay_plan import ReplayPlan
from aios_tui.config import paths
from aios_tui.reporting.bench_results import rates_of, read
from aios_tui.reporting.results import Results, gather
from engine.agents.catalogue import load_catalogue
from engine.errors import UsageError
from engine.replay.inputs import ReplayInput, build_input
from engine.replay.service_model import Observation, Rates, ServiceModel, calibrate
from engine.replay.simulate import Capacity, simulate
from engine.scheduling import Policy, parse_policy
from engine.workloads.reader import WorkloadReader
from persistence import History

_DEFAULTS = Rates()


async def run_virtual(plan: ReplayPlan, path: Path, out: Output) -> tuple[Results | None, int]:
    """Simulate the plan's workload under each of its policies."""
    if plan.calibrate is not None and plan.calibrate.startswith("bench"):
        plan, service, told = await asyncio.to_thread(_benched, plan)
    else:
        service, told = await _service(plan)
    results = await asyncio.to_thread(_simulated, plan, path, service, told)
    for note in results.notes:
        out.say(note)
    if plan.keep:
        await keep_virtual(plan, results, out)
    return results, WELL


def _simulated(plan: ReplayPlan, path: Path, service: ServiceModel, told: str) -> Results:
    with WorkloadReader(path) as reader:
        made = build_input(reader, reader.header.defaults, service, _rounds(plan))
        complete = reader.complete
    plant = Capacity(
        slots=plan.settings.slots or 1,
        load_s={model: seconds for model, seconds in plan.loads.items() if model},
        default_load_s=plan.loads.get("", 0.0),
    )
    loads = "".join(f", loading {model or 'a model'} {s:g} s" for model, s in plan.loads.items())
    runs = []
    for policy, switches in schedules(plan, made.switches):
        run = simulate(made.tasks, policy, plant, switches, made.actions)
        run.note = f"{told}{loads}"
        runs.append((run, True))
    return gather(path.name, runs, _notes(plan, made, service, complete))


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


def _rounds(plan: ReplayPlan) -> Callable[[str], int | None]:
    catalogue, _ = load_catalogue(plan.settings.agents_folder)

    def rounds_of(agent: str) -> int | None:
        try:
            return catalogue.get(agent).round_total
        except UsageError:  # an agent that is not there has one round
            return None

    return rounds_of


async def _service(plan: ReplayPlan) -> tuple[ServiceModel, str]:
    """The service model, and how to say it."""
    if not plan.calibrate:
        given = plan.prefill is not None or plan.decode is not None
        rates = Rates(plan.prefill or _DEFAULTS.prefill, plan.decode or _DEFAULTS.decode)
        return ServiceModel(rates, use_given=not given, seed=plan.seed), _rates(rates)
    async with History(plan.settings.db) as history:
        seen = [Observation(*row) for row in await history.timings()]
    try:
        rates, per_model = calibrate(seen)
    except ValueError as error:
        raise UsageError(f"--calibrate: {error}") from None
    told = "; ".join([_rates(rates), *(f"{model} {_rates(each)}" for model, each in sorted(per_model.items()))])
    return ServiceModel(
        rates, per_model, use_given=False, seed=plan.seed
    ), f"calibrated from {len(seen)} attempts: {told}"


def _benched(plan: ReplayPlan) -> tuple[ReplayPlan, ServiceModel, str]:
    """The plan with the load times that `bench` measured unless others are given, its rates, and how to say them.

    Raises UsageError when nothing fits, or it can't be read.
    """
    core = (plan.calibrate or "").partition(":")[2] or None
    slots = plan.settings.slots or 1
    rates, per_model, used = rates_of(read(paths.bench_file()), core, slots)
    measured = {bench.model: bench.load_s for bench in used if bench.load_s is not None}
    told = "; ".join(
        f"{bench.model} on {bench.core}, measured at {bench.level(slots).streams} at a time,"
        f" {_rates(bench.rates(slots))}"
        for bench in used
    )
    service = ServiceModel(rates, per_model, use_given=False, seed=plan.seed)
    return replace(plan, loads=plan.loads or measured), service, f"calibrated from bench: {told}"


def _rates(rates: Rates) -> str:
    return f"prefill {rates.prefill:g} tok/s, decode {rates.decode:g} tok/s"
