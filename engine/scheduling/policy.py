"""The interface of a policy: the order of ready syscalls."""

from __future__ import annotations

from typing import Protocol


class Rankable(Protocol):
    """The facts that a policy may use. None of them changes while a syscall waits.

    Attributes:
        priority: 0 (most urgent) … 9. arrival: when the task arrived, in seconds.
    """

    @property
    def priority(self) -> int: ...
    @property
    def arrival(self) -> float: ...


class Policy(Protocol):
    """Orders ready syscalls by a constant rank, smallest first; equal ranks by arrival number."""

    @property
    def name(self) -> str:
        """The canonical name, which `parse_policy` reads back to an equal policy."""

    def rank(self, item: Rankable) -> float:
        """The item's position in the queue, smallest first. It depends on the item alone, so it is computed once."""

    def level(self, item: Rankable) -> float:
        """The item's urgency, smallest first. Affinity lets no item pass one of a smaller level."""
