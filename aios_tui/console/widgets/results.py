"""The results: ended tasks, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from aios_tui.console.state.view_state import ResultView, ViewState
from aios_tui.console.widgets.columns import Column
from aios_tui.console.widgets.line_list import LineList
from aios_tui.formatting import numbers
from engine.task import TaskState


class ResultList(LineList):
    """Ended tasks. While the cursor is on the newest it stays with the newest.

    Without room, columns are dropped in this order: rounds, tokens/s, waited, took, priority, task id, agent.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("mark", "", 1),
        Column("time", "time", 8),
        Column("id", "task", 5, drops=6, wide=7, right=True),
        Column("agent", "agent", 10, drops=7, wide=18),
        Column("priority", "pri", 3, drops=5),
        Column("waited", "waited", 6, drops=3, right=True),
        Column("took", "took", 7, drops=4, right=True),
        Column("rounds", "rnd", 3, drops=1, right=True),
        Column("rate", "tok/s", 5, drops=2, right=True),
        Column("line", "result", 20, wide=44),
    )
    EMPTY: ClassVar[str] = "No task has ended yet."
    follows: ClassVar[bool] = True

    def __init__(self, *, id: str = "results") -> None:
        super().__init__(id=id)
        self.view = ViewState()
        self._rows: list[ResultView] = []

    def show(self, view: ViewState) -> None:
        """Draw this state; call it whenever the results changed."""
        self.view = view
        needle = self.needle.casefold()
        self._rows = [row for row in view.results if not needle or _matches(row, needle)]
        self.refresh_rows()

    def count(self) -> int:
        return len(self._rows)

    def row_key(self, index: int) -> int:
        return self._rows[index].id

    def index_of(self, key: int) -> int | None:
        return next((index for index, row in enumerate(self._rows) if row.id == key), None)

    def cells(self, index: int) -> dict[str, tuple[str, str]]:
        row = self._rows[index]
        mark, style = numbers.MARKS[row.state]
        return {
            "mark": (mark, style),
            "time": (_time(row.ended_at, self.view.now), "dim"),
            "id": (f"#{row.id}", "dim"),
            "agent": (row.agent, ""),
            "priority": (f"▌{row.priority}", f"priority-{row.priority}"),
            "waited": (numbers.clock(row.waiting_s), "dim"),
            "took": (numbers.took(row.took_s), "dim"),
            "rounds": (str(row.rounds), "dim"),
            "rate": (numbers.rate(row.tokens_per_s), "dim"),
            "line": (row.line, "" if row.state is TaskState.DONE else style),
        }


def _time(at: float, now: float) -> str:
    """Return the time of day, or the date if it was more than half a day ago."""
    moment = datetime.fromtimestamp(at)
    return f"{moment:%H:%M:%S}" if abs(now - at) < 43_200 else f"{moment:%d %b}"


def _matches(row: ResultView, needle: str) -> bool:
    return (
        needle in row.text.casefold()
        or needle in row.prompt.casefold()
        or needle in row.agent.casefold()
        or needle in row.state.value
        or needle == f"#{row.id}"
    )
