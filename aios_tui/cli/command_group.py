"""Commands that have further ones under them."""

from __future__ import annotations

from typing import Any

import click


class CommandGroup(click.Group):
    """A group whose name alone, with options or without, is a mistake: one line names what may follow it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "invoke_without_command": True})

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            raise click.UsageError(_no_command(ctx.command_path, list(self.commands)), ctx)
        return result


def _no_command(path: str, names: list[str]) -> str:
    said = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)
    return f"{path}: say {said} after it; `{path} --help` tells what each does"
