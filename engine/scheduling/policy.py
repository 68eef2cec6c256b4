"""What a policy is."""

from __future__ import annotations

from typing import Protocol


class Rankable(Protocol):
    """What a policy may look at: a ready syscall's own facts, none of which changes while it waits."""

    @property
    def priority(self) -> int: ...
    @property
    def arrival(self) -> float: ...


class Policy(Protocol):
    """Orders ready syscalls by a static rank, smallest first; equal ranks go in order of arrival number."""

    @property
    def name(self) -> str:
        """The canonical name, which `parse_policy` reads back to an equal policy."""

    def rank(self, item: Rankable) -> float:
        """The item's place; must depend on nothing but the item, so that it need not be computed again."""

    def level(self, item: Rankable) -> float:
        """How urgent it is, least first: for a model's sake, none goes before one of a lesser level."""
