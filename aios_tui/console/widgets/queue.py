"""The queue: ready tasks in the order in which they will run; see `state.ready_order`."""

from __future__ import annotations

from typing import ClassVar

from aios_tui.console.state.view_state import TaskView, ViewState
from aios_tui.console.widgets.columns import Column
from aios_tui.console.widgets.line_list import LineList
from aios_tui.formatting import numbers
from engine.task import TaskState


class QueueList(LineList):
    """Ready tasks. A running task whose next round is ready stands among them, marked with `▸`; held ones come last.

    Without room, columns are dropped in this order: client, task id, rounds, waited, agent.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("place", "", 3, wide=5, right=True),
        Column("id", "task", 4, drops=2, wide=7, right=True),
        Column("priority", "pri", 3),
        Column("agent", "agent", 10, drops=5, wide=18),
        Column("waited", "waited", 6, drops=4, right=True),
        Column("rounds", "rnd", 4, drops=3, right=True),
        Column("client", "client", 8, drops=1, wide=12, from_width=84),
        Column("prompt", "prompt", 14, wide=28),
    )
    EMPTY: ClassVar[str] = "Queue is empty. n opens a form, i the quick line."

    def __init__(self, *, id: str = "queue") -> None:
        super().__init__(id=id)
        self.view = ViewState()
        self._matching: list[int] | None = None

    def show(self, view: ViewState) -> None:
        """Draw this state; call it whenever the queue or the clock changed."""
        self.view = view
        self._matching = self._matches() if self.needle else None
        self.refresh_rows()

    def _matches(self) -> list[int]:
        needle, tasks = self.needle.casefold(), self.view.tasks
        return [task for task in self.view.order if _matches(tasks[task], needle)]

    def count(self) -> int:
        return len(self.view.order) if self._matching is None else len(self._matching)

    def row_key(self, index: int) -> int:
        return self.view.order[index] if self._matching is None else self._matching[index]

    def index_of(self, key: int) -> int | None:
        if self._matching is None:
            return self.view.order.index(key)
        return self._matching.index(key) if key in self._matching else None

    def cells(self, index: int) -> dict[str, tuple[str, str]]:
        task = self.view.tasks[self.row_key(index)]
        waited = None if task.ready_since is None else self.view.now - task.ready_since
        running = task.state is TaskState.RUNNING
        place = index if self._matching is None else self.view.order.index(task.id) or 0
        return {
            "place": ("" if task.held else str(place + 1), "dim"),
            "id": (f"#{task.id}", "dim"),
            "priority": (f"▌{task.priority}", "dim" if task.held else f"priority-{task.priority}"),
            "agent": (task.agent, "dim" if task.held else "primary" if running else ""),
            "waited": ("held" if task.held else numbers.clock(waited), "dim"),
            "rounds": _rounds(task, running),
            "client": (task.spec.client or "", "dim"),
            "prompt": (task.preview, "dim" if task.held else ""),
        }


def _rounds(task: TaskView, running: bool) -> tuple[str, str]:
    if running:
        return f"▸{numbers.rounds(task.rounds, task.round_total)}", "primary"
    return ("↺", "warn") if task.interrupted else ("–", "dim")


def _matches(task: TaskView, needle: str) -> bool:
    spec = task.spec
    return (
        needle in spec.prompt.casefold()
        or needle in spec.agent.casefold()
        or needle == f"#{task.id}"
        or (spec.client is not None and needle in spec.client.casefold())
    )
