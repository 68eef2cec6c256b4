"""Replays in virtual time: a simulation of the same scheduler, without a core."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from aios_tui.cli.exit_codes import OK
from aios_tui.cli.output import Output
from aios_tui.cli.runner.replay_keep import keep_virtual
from aios_tui.cli.runner.replay_plan import ReplayPlan
from aios_tui.config import paths
from aios_tui.reporting.bench_results import rates_of, read
from aios_tui.reporting.results import Results, gather
from engine.agents.catalogue import load_catalogue
from engine.errors import UsageError
from engine.replay.inputs import ReplayInput, columns
from engine.replay.service_model import Observation, Rates, ServiceModel, calibrate
from engine.replay.simulate import Capacity, simulate
from engine.scheduling import Policy, parse_policy
from engine.wording import plural
from engine.workloads.reader import WorkloadReader
from persistence import History, SqliteStore


async def run_virtual(plan: ReplayPlan, path: Path, out: Output) -> tuple[Results, int]:
    """Simulate the plan's workload under each of its policies. Returns the results and the exit code.

    The code is 0: a simulated task fails only when the workload cancels it.
    """
    if plan.calibrate is not None and plan.calibrate.startswith("bench"):
        plan, service, origin = await asyncio.to_thread(_calibrate_from_bench, plan)
    elif plan.calibrate:
        service, origin = await _calibrate_from_history(plan)
    else:
        default = Rates()
        rates = Rates(plan.prefill or default.prefill, plan.decode or default.decode)
        given = plan.prefill is not None or plan.decode is not None
        service, origin = ServiceModel(rates, use_given=not given, seed=plan.seed), _format_rates(rates)
    results = await asyncio.to_thread(_simulate, plan, path, service, origin)
    for note in results.notes:
        out.note(note)
    if plan.keep:
        await keep_virtual(SqliteStore(plan.settings.db, program="replay"), results, out)
    return results, OK


def _simulate(plan: ReplayPlan, path: Path, service: ServiceModel, origin: str) -> Results:
    """Simulate one run per policy; `origin` says in each run's note where the rates come from."""
    with WorkloadReader(path) as reader:
        inputs = columns(reader, reader.header.defaults, service, _round_counter(plan.settings.agents_folder))
        complete = reader.complete
    capacity = Capacity(
        slots=plan.settings.slots or 1,
        load_s={model: seconds for model, seconds in plan.loads.items() if model},
        default_load_s=plan.loads.get("", 0.0),
    )
    loads = "".join(f", loading {model or 'a model'} {s:g} s" for model, s in plan.loads.items())
    runs = []
    for policy, switches in schedules(plan, inputs.switches):
        run = simulate(inputs.tasks, policy, capacity, switches, inputs.acts)
        run.note = f"{origin}{loads}"
        runs.append((run, True))
    return gather(path.name, runs, _notes(plan, inputs, service, complete))


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


def _round_counter(agents_folder: Path) -> Callable[[str], int | None]:
    """Return a function that gives an agent's number of rounds, None for an unknown agent."""
    catalogue, _ = load_catalogue(agents_folder)

    def count_rounds(agent: str) -> int | None:
        try:
            return catalogue.get(agent).round_total
        except UsageError:
            return None

    return count_rounds


async def _calibrate_from_history(plan: ReplayPlan) -> tuple[ServiceModel, str]:
    """Return the rates of all attempts in the history, and a line that lists them. Raises UsageError without any."""
    async with History(plan.settings.db) as history:
        seen = [Observation(*row) for row in await history.timings()]
    try:
        rates, per_model = calibrate(seen)
    except ValueError as error:
        raise UsageError(f"--calibrate: {error}") from None
    listed = [_format_rates(rates), *(f"{model} {_format_rates(each)}" for model, each in sorted(per_model.items()))]
    service = ServiceModel(rates, per_model, use_given=False, seed=plan.seed)
    return service, f"calibrated from {plural(len(seen), 'attempt')}: {'; '.join(listed)}"


def _calibrate_from_bench(plan: ReplayPlan) -> tuple[ReplayPlan, ServiceModel, str]:
    """Return the plan with measured load times, unless it has its own; the measured rates; and a line that lists them.

    Raises UsageError when no benchmark fits or the file can't be read.
    """
    core = (plan.calibrate or "").partition(":")[2] or None
    slots = plan.settings.slots or 1
    rates, per_model, used = rates_of(read(paths.bench_file()), core, slots)
    load_s = {bench.model: bench.load_s for bench in used if bench.load_s is not None}
    listed = "; ".join(
        f"{bench.model} on {bench.core}, measured at {bench.level(slots).streams} at a time,"
        f" {_format_rates(bench.rates(slots))}"
        for bench in used
    )
    service = ServiceModel(rates, per_model, use_given=False, seed=plan.seed)
    return replace(plan, loads=plan.loads or load_s), service, f"calibrated from bench: {listed}"


def _format_rates(rates: Rates) -> str:
    return f"prefill {rates.prefill:g} tok/s, decode {rates.decode:g} tok/s"
