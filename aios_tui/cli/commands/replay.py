"""`aios-tui replay`."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aios_tui.cli.options import common, settings_of, take
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.scheduling import Policy


def _speed(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        speed = math.inf if value == "max" else float(value.removesuffix("x"))  # the console's word for it
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise click.BadParameter("a speed is a number above 0, or max", ctx, param)
    return speed


def _rate(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise click.BadParameter("tokens per second, a number above 0", ctx, param)
    return value


def _loads(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    """`S`, for all models, under the name "", and `MODEL=S`."""
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


def _calibration(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None or value in ("history", "bench") or (value.startswith("bench:") and value != "bench:"):
        return value
    raise click.BadParameter(
        f"history, bench or bench:CORE, not {one_line(value, 60)!r}; WORKLOAD comes before it", ctx
    )


_VIRTUAL_ONLY = ("prefill", "decode", "calibrate", "load")


@click.command()
@click.argument("workload", metavar="WORKLOAD")
@click.option("--virtual", is_flag=True, help="Simulate it: no core, no waiting, the same numbers each time.")
@click.option("--speed", callback=_speed, metavar="X", help="Live: X times as fast as written, or max: all at once.")
@click.option(
    "--seed", type=int, metavar="N", help="Live: of tasks that name none. Virtual: for replies that nobody counted."
)
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Live: the longest reply of a round.")
@click.option("--prefill", type=float, callback=_rate, metavar="TOK_PER_S", help="Virtual: rate of reading prompts.")
@click.option("--decode", type=float, callback=_rate, metavar="TOK_PER_S", help="Virtual: rate of writing replies.")
@click.option(
    "--calibrate",
    is_flag=False,
    flag_value="history",
    callback=_calibration,
    metavar="[bench[:CORE]]",
    help="Virtual: take the rates of each model from your history, or from what `aios-tui bench` measured.",
)
@click.option("--load", multiple=True, callback=_loads, metavar="[MODEL=]S", help="Virtual: seconds to load a model.")
@click.option("--switches", is_flag=True, help="With --policy: do the workload's own switches of policy too.")
@click.option("--report", type=Path, metavar="DIR", help="Write report.md, report.json, tasks.csv and figures there.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json in place of the table.")
@click.option("--keep/--no-keep", default=True, help="Keep the runs in the history (the default).")
@common
@click.pass_context
def replay(ctx: click.Context, /, workload: str, **given: Any) -> int:
    """Run a workload again and measure it, under one policy or several: --policy fifo,npps,npps:ageing=60.

    WORKLOAD is a file, a file in your workloads folder, or a sample (`aios-tui workload samples`). Live, unless
    --virtual is given: tasks arrive at their times at a real core, policies one after the other. Without --policy the
    policy is the workload's own, where it names one, or that of the settings.

    Exit codes: 0 all done, 1 some tasks failed, 2 nothing was run, 130 interrupted.
    """
    names = take(ctx, "policy")
    _check(ctx, given)
    loaded = settings_of(ctx)
    from aios_tui.cli.runner.replay import run_replay
    from aios_tui.cli.runner.replay_plan import ReplayPlan

    plan = ReplayPlan(
        workload=workload,
        policies=_policies(names),
        settings=loaded.settings,
        model_given=loaded.origins.get("model", "").startswith("option"),
        **{key: value for key, value in given.items() if key != "load"},
        loads=given["load"],
    )
    return asyncio.run(run_replay(plan))


def _check(ctx: click.Context, given: dict[str, Any]) -> None:
    if given["virtual"]:
        for name in ("speed", "max_tokens"):
            if given[name] is not None:
                raise click.UsageError(f"--{name.replace('_', '-')} is for live replays, not for --virtual", ctx)
        if take(ctx, "core") is not None:
            raise click.UsageError("--core is for live replays; --virtual has no core", ctx)
    else:
        for name in _VIRTUAL_ONLY:
            if given[name]:
                raise click.UsageError(f"--{name} is for --virtual; a live replay takes the time it takes", ctx)
    if given["calibrate"] and (given["prefill"] or given["decode"]):
        raise click.UsageError(
            "--calibrate takes the rates from what was measured; leave out --prefill and --decode", ctx
        )


def _policies(names: str | None) -> tuple[Policy, ...]:
    """The policies of `a,b,c`, each once; none when the option was not given. Raises UsageError."""
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
