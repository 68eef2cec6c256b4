"""`aios-tui pause`."""

from __future__ import annotations

import click

from aios_tui.cli.options import common
from aios_tui.cli.output import Output
from aios_tui.cli.remote import remote_of, show_kernel


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@common
@click.pass_context
def pause(ctx: click.Context, /, as_json: bool) -> None:
    """Have the running console or service dispatch nothing more; what executes ends its round."""
    with remote_of(ctx) as remote:
        show_kernel(Output(), remote.post("/v1/pause"), as_json=as_json)
