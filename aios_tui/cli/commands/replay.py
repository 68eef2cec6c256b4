"""`aios-tui replay`."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.options import has_model_option, json_option, load_settings, settings_options, take_option
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.scheduling import Policy

_VIRTUAL_ONLY = ("prefill", "decode", "calibrate", "load")


def _parse_speed(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    from aios_tui.console.jobs.replay import speed_of

    return None if value is None else speed_of(value)


def _check_rate(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise click.BadParameter("tokens per second, a number above 0", ctx, param)
    return value


def _parse_loads(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    """Parse `MODEL=S` and `S`; the latter is for all models, under the name ""."""
    found: dict[str, float] = {}
    for value in values:
        model, _, text = value.rpartition("=")
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not (seconds >= 0 and math.isfinite(seconds)):
            raise click.BadParameter("SECONDS, or MODEL=SECONDS, 0 or more", ctx, param)
        found[model.strip()] = seconds
    return found


def _check_calibration(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None or value in ("history", "bench") or (value.startswith("bench:") and value != "bench:"):
        return value
    raise click.BadParameter(
        f"history, bench or bench:CORE, not {one_line(value, 60)!r}; WORKLOAD comes before it", ctx
    )


@click.command()
@click.argument("workload", metavar="WORKLOAD")
@click.option("--virtual", is_flag=True, help="Simulate: no core, no waiting, the same numbers each time.")
@click.option("--speed", callback=_parse_speed, metavar="X", help="Live: X times as fast, or max: all at once.")
@click.option(
    "--seed", type=int, metavar="N", help="Live: seed of tasks without one. Virtual: for replies without token counts."
)
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Live: longest reply of a round.")
@click.option("--prefill", type=float, callback=_check_rate, metavar="TOK_PER_S", help="Virtual: prompt tokens/s.")
@click.option("--decode", type=float, callback=_check_rate, metavar="TOK_PER_S", help="Virtual: reply tokens/s.")
@click.option(
    "--calibrate",
    is_flag=False,
    flag_value="history",
    callback=_check_calibration,
    metavar="[history|bench[:CORE]]",
    help="Virtual: take each model's rates from your history (default) or from `aios-tui bench`.",
)
@click.option(
    "--load", multiple=True, callback=_parse_loads, metavar="[MODEL=]S", help="Virtual: seconds to load a model."
)
@click.option("--switches", is_flag=True, help="With --policy: also apply the workload's own policy changes.")
@click.option("--report", type=Path, metavar="DIR", help="Write report.md, report.json, tasks.csv and figures to DIR.")
@json_option("Print report.json in place of the table.")
@click.option("--keep/--no-keep", default=True, help="Save the runs in the history (the default).")
@settings_options("config", "db", "core", "model", "policy", "slots", "log_level")
@click.pass_context
def replay(ctx: click.Context, /, workload: str, **given: Any) -> int:
    """Run a workload again and measure it, under one policy or several: --policy fifo,npps,npps:ageing=60.

    WORKLOAD is a file, a file in your workloads folder, or a sample (`aios-tui workload samples`). Without --virtual
    the replay is live: tasks arrive at their times at a real core, one policy after the other. Without --policy, the
    policy is the workload's own, or else the one in the settings.

    Exit codes: 0 all done, 1 some tasks failed (those that the workload cancels do not count), 2 nothing was run,
    130 interrupted.
    """
    names = take_option("policy")
    _check_options(ctx, given)
    settings = load_settings().settings
    from aios_tui.cli.runner.replay import run_replay
    from aios_tui.cli.runner.replay_plan import ReplayPlan

    plan = ReplayPlan(
        workload=workload,
        policies=_parse_policies(names),
        settings=settings,
        model_given=has_model_option(),
        loads=given.pop("load"),
        **given,
    )
    return asyncio.run(run_replay(plan))


def _check_options(ctx: click.Context, given: dict[str, Any]) -> None:
    """Raise UsageError for options that exclude each other."""
    if given["virtual"]:
        for name in ("speed", "max_tokens"):
            if given[name] is not None:
                raise click.UsageError(f"--{name.replace('_', '-')} is for live replays, not for --virtual", ctx)
        if take_option("core") is not None:
            raise click.UsageError("--core is for live replays; --virtual has no core", ctx)
    else:
        for name in _VIRTUAL_ONLY:
            if given[name]:
                raise click.UsageError(f"--{name} is for --virtual; a live replay takes the time it takes", ctx)
    if given["calibrate"] and (given["prefill"] or given["decode"]):
        raise click.UsageError("--calibrate takes measured rates; leave out --prefill and --decode", ctx)


def _parse_policies(names: str | None) -> tuple[Policy, ...]:
    """Return the policies of a list such as `fifo,npps`; empty for None. Raises UsageError, also for a repeated one."""
    from engine.errors import UsageError
    from engine.scheduling import parse_policies

    if names is None:
        return ()
    found: dict[str, Policy] = {}
    for policy in parse_policies(names):
        if policy.name in found:
            raise UsageError(f"option --policy: {policy.name} stands there twice")
        found[policy.name] = policy
    return tuple(found.values())
