"""The commands of the palette, and their order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from aios_tui.console import actions
from aios_tui.console.handlers import operator

if TYPE_CHECKING:
    from aios_tui.console.app_base import ConsoleBase


class Command(NamedTuple):
    """One line of the palette. `description` is markup, escaped so that it shows as plain text."""

    title: str
    description: str
    run: Callable[[], object]


def commands(app: ConsoleBase) -> list[Command]:
    """Available actions in the order of the action table, then policies, then other actions with the reason."""
    context = app.action_context()
    able: list[Command] = []
    unable: list[Command] = []
    for action in actions.MAIN:
        if action.title:
            reason = action.why_not(context)
            key = f" [{action.shown_key}]" if action.keys else ""
            text = f"{action.description}{key}" if reason is None else f"{action.description} Not available: {reason}."
            command = Command(action.title, _escape(text), partial(app.act, action.id))
            (able if reason is None else unable).append(command)
    policies = [
        Command(f"Policy {policy}", _escape(text), partial(operator.use_policy, app, policy))
        for policy, text in actions.POLICIES
    ]
    return [*able, *policies, *unable] if app.live else [*able, *unable, *policies]


def _escape(text: str) -> str:
    """Escape markup. Textual's own escape leaves `[M]`, which is then read as a tag."""
    return text.replace("[", "\\[")


class ActionCommands(Provider):
    """The commands of the console. Textual's own provider would sort them by name and add others.

    While nothing is typed all are listed; otherwise the matches, best first. The palette's sort is stable, so equal
    matches keep the order of `commands`.
    """

    async def discover(self) -> Hits:
        for command in commands(cast("ConsoleBase", self.app)):
            yield DiscoveryHit(command.title, command.run, help=command.description)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in commands(cast("ConsoleBase", self.app)):
            if (score := matcher.match(command.title)) > 0:
                yield Hit(score, matcher.highlight(command.title), command.run, help=command.description)
