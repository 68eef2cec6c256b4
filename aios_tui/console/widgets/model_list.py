"""The models of all cores, a line each, and the jobs on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aios_tui.console.jobs.models import DOING, Job
from aios_tui.console.state.view_state import ViewState
from aios_tui.console.widgets.cells import cell_len, fit
from aios_tui.console.widgets.columns import Column, Placed, place
from aios_tui.console.widgets.line_list import LineList
from aios_tui.console.widgets.styled_lines import Line, Span, clip, width_of
from aios_tui.formatting import models, numbers

if TYPE_CHECKING:
    from engine.cores.port import ModelInfo

LEAST_BAR, MOST_BAR = 6, 24
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model of a core. `info` is None while it is pulled for the first time; `job` is the job on it, if any."""

    core: str
    model: str
    info: ModelInfo | None
    job: Job | None = None
    default: bool = False


def rows_of(view: ViewState, jobs: Mapping[tuple[str, str], Job]) -> list[ModelRow]:
    """Return pulls of new models, then the models of each core in its order."""
    left = dict(jobs)
    rows = []
    for core in view.cores.values():
        for model in core.models:
            names = (model.name, *model.aliases)
            job = next((left.pop((core.name, name)) for name in names if (core.name, name) in left), None)
            rows.append(ModelRow(core.name, model.name, model, job, core.default_model in names))
    return [*(ModelRow(job.core, job.model, None, job) for job in left.values()), *rows]


class ModelList(LineList):
    """A line per model.

    Without room, columns are dropped in this order: abilities, context, size in memory, core, size, share.
    """

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("mark", "", 1),
        Column("model", "model", 14, wide=36),
        Column("core", "core", 7, drops=4, wide=14),
        Column("size", "size", 6, drops=5, right=True),
        Column("memory", "memory", 6, drops=3, right=True),
        Column("share", "VRAM", 5, drops=6, right=True),
        Column("unloads", "unloads", 7, right=True),
        Column("context", "context", 7, drops=2, right=True),
        Column("can", "abilities", 9, drops=1, wide=30),
    )
    EMPTY: ClassVar[str] = "No core has reported a model yet."

    def __init__(self, *, id: str = "models") -> None:
        super().__init__(id=id)
        self.rows: list[ModelRow] = []
        self.now = 0.0
        self._several = False
        self._numbers: dict[tuple[str, str], int] = {}

    def show(self, rows: list[ModelRow], now: float, *, several: bool) -> None:
        """Draw these rows; with `several` cores each line names its core."""
        self.rows, self.now = rows, now
        if several != self._several:
            self._several, self._placed = several, (-1, ())
            self._drawn.clear()
            self.refresh()
        self.refresh_rows()

    @property
    def row(self) -> ModelRow | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def point_to(self, core: str, model: str) -> None:
        """Put the cursor on a model, if it is listed."""
        for index, row in enumerate(self.rows):
            if (row.core, row.model) == (core, model):
                self.point(index)

    def count(self) -> int:
        return len(self.rows)

    def row_key(self, index: int) -> int:
        row = self.rows[index]
        return self._numbers.setdefault((row.core, row.model), len(self._numbers))

    def index_of(self, key: int) -> int | None:
        return next((index for index in range(len(self.rows)) if self.row_key(index) == key), None)

    def columns(self, width: int) -> tuple[Placed, ...]:
        if self._placed[0] != width:
            shown = [column for column in self.COLUMNS if self._several or column.id != "core"]
            self._placed = (width, place(shown, width))
        return self._placed[1]

    def draw(self, index: int, width: int) -> Line:
        row = self.rows[index]
        return super().draw(index, width) if row.job is None else _job_line(row.job, self.columns(width), width)

    def cells(self, index: int) -> dict[str, tuple[str, str]]:
        row = self.rows[index]
        info = row.info
        if info is None:  # its line shows the job
            return {column.id: ("", "") for column in self.COLUMNS}
        share = models.vram_share(info)
        left = None if info.expires_at is None else info.expires_at - self.now
        abilities = [*(["default"] if row.default else []), *(info.capabilities or ())]
        return {
            "mark": ("●", "good") if info.loaded else ("·", "dim"),
            "model": (info.name, "strong" if info.loaded else ""),
            "core": (row.core, "dim"),
            "size": (numbers.size(info.size), "dim"),
            "memory": (numbers.size(info.size_loaded) if info.loaded else "–", ""),
            "share": ("–", "dim") if share is None else (models.share_text(share), "warn" if share < 1 else "good"),
            "unloads": (numbers.clock(left) if info.loaded else "–", "" if info.loaded else "dim"),
            "context": (f"{info.context_length:,}" if info.context_length else "–", "dim"),
            "can": (", ".join(abilities) or info.detail, "dim"),
        }


def _job_line(job: Job, columns: Sequence[Placed], width: int) -> Line:
    """Return the line of a job under the first columns, for a pull with a bar if there is room."""
    texts = {
        "mark": ("↓" if job.kind == "pull" else "…", "accent"),
        "model": (job.model, "strong"),
        "core": (job.core, "dim"),
    }
    spans: list[Span] = []
    for item in columns:
        if item.column.id in texts:
            text, style = texts[item.column.id]
            spans.append((fit(text, item.width) + "  ", style))
    if job.kind != "pull":
        spans.append((DOING[job.kind], "accent"))
    else:
        progress = job.progress
        text = models.progress_text(progress, job.rate) or "asking for it"
        if progress.total:
            text = text.removeprefix(progress.status).strip()
            cells = min(MOST_BAR, width - width_of(spans) - cell_len(text) - 2)
            spans += _bar(progress.done / progress.total, cells) if cells >= LEAST_BAR else []
        spans.append((text, ""))
    line = clip(spans, width)
    return (*line, (" " * max(0, width - width_of(line)), ""))


def _bar(share: float, cells: int) -> list[Span]:
    whole, rest = divmod(max(0, min(cells * 8, int(share * cells * 8))), 8)
    done = "█" * whole + (_EIGHTHS[rest] if rest else "")
    return [(done, "bar"), ("░" * (cells - len(done)), "off"), ("  ", "")]
