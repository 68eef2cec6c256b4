"""What the command palette lists, and in which order."""

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
    """One line of the palette. `words` is markup, with nothing in it that is read as such."""

    title: str
    words: str
    run: Callable[[], object]


def commands(app: ConsoleBase) -> list[Command]:
    """What can be done now, in the action table's order, then the policies, then what can't be done, and why."""
    now = app.situation()
    able: list[Command] = []
    unable: list[Command] = []
    for action in actions.ACTIONS:
        if not action.moves and action.id != "palette":
            reason = action.why_not(now)
            key = f" [{action.shown_key}]" if action.keys else ""
            words = f"{action.description}{key}" if reason is None else f"{action.description} Not now: {reason}."
            command = Command(action.command, _escape(words), partial(app.act, action.id))
            (able if reason is None else unable).append(command)
    policies = [
        Command(f"Policy {policy}", _escape(words), partial(operator.use_policy, app, policy))
        for policy, words in actions.POLICIES
    ]
    return [*able, *policies, *unable] if app.live else [*able, *unable, *policies]


def _escape(words: str) -> str:
    """Keep words from being read as markup. Textual's own escape leaves `[M]`, which then is taken for a tag."""
    return words.replace("[", "\\[")


class ActionCommands(Provider):
    """The commands of the console. Textual's own provider would sort them by name, and add its own.

    While nothing is typed all are listed; of what matches what is typed, the best first. The palette's sorting is
    stable, so equals keep the order of `commands`.
    """

    async def discover(self) -> Hits:
        for command in commands(cast("ConsoleBase", self.app)):
            yield DiscoveryHit(command.title, command.run, help=command.words)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in commands(cast("ConsoleBase", self.app)):
            if (score := matcher.match(command.title)) > 0:
                yield Hit(score, matcher.highlight(command.title), command.run, help=command.words)
