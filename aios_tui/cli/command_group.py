"""Commands that have subcommands."""

from __future__ import annotations

from typing import Any

import click


class CommandGroup(click.Group):
    """A group that does nothing by itself: its name alone is a mistake, answered with the names of its subcommands."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "invoke_without_command": True})

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            *names, last = self.commands
            path = ctx.command_path
            raise click.UsageError(f"{path} needs a subcommand: {', '.join(names)} or {last}; see `{path} --help`", ctx)
        return result
