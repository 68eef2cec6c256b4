"""`aios-tui policy`."""

from __future__ import annotations

import json

import click

from aios_tui.cli.options import common
from aios_tui.cli.output import Output
from aios_tui.cli.remote import remote_of


@click.command()
@click.argument("name", metavar="[POLICY]", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common
@click.pass_context
def policy(ctx: click.Context, /, name: str | None, as_json: bool) -> None:
    """Print the policy of the running console or service, or switch to POLICY.

    fifo, npps or npps:ageing=SECONDS, each with affinity=PASSES or affinity_s=SECONDS, as in npps:ageing=60,affinity=8.
    """
    with remote_of(ctx) as remote:
        found = remote.get("/v1/policy") if name is None else remote.put("/v1/policy", {"policy": name})
    Output().line(json.dumps(found) if as_json else found["policy"])
