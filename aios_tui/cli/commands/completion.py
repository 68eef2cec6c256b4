"""`aios-tui completion SHELL`."""

from __future__ import annotations

import click

from aios_tui.cli.options import settings_options
from aios_tui.cli.output import print_line


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@settings_options()
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  eval "$(aios-tui completion bash)"                       in ~/.bashrc
    zsh:   eval "$(aios-tui completion zsh)"                        in ~/.zshrc
    fish:  aios-tui completion fish > ~/.config/fish/completions/aios-tui.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    print_line(found(ctx.find_root().command, {}, "aios-tui", "_AIOS_TUI_COMPLETE").source())
