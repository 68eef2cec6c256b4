"""Short texts in a row, wrapped between texts."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content, Span
from textual.geometry import Size
from textual.widget import Widget

GAP = 3


def _with_styles(cells: Sequence[Content]) -> list[tuple[str, tuple[Span, ...]]]:
    """Return texts with their styles, which Content's equality ignores."""
    return [(cell.plain, tuple(cell.spans)) for cell in cells]


class Flow(Widget):
    """Texts laid out for the width; one wider than a line is cut with an ellipsis."""

    DEFAULT_CSS = """
    Flow { height: auto; width: 1fr; }
    """

    def __init__(
        self, cells: Sequence[Content] = (), *, gap: int = GAP, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._cells = tuple(cells)
        self._gap = gap

    def update(self, cells: Sequence[Content]) -> None:
        """Show other texts."""
        if _with_styles(self._cells) != _with_styles(cells):
            before = self._wrapped(self.size.width)
            self._cells = tuple(cells)
            self.refresh(layout=len(before) != len(self._wrapped(self.size.width)))

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self._wrapped(width)))

    def render(self) -> Content:
        return Content("\n").join(self._wrapped(self.size.width))

    def _wrapped(self, width: int, cells: Sequence[Content] | None = None) -> list[Content]:
        lines: list[Content] = []
        for cell in self._cells if cells is None else cells:
            fitting = cell if cell.cell_length <= width else cell.truncate(max(1, width), ellipsis=True)
            if lines and lines[-1].cell_length + self._gap + fitting.cell_length <= width:
                lines[-1] = Content.assemble(lines[-1], " " * self._gap, fitting)
            else:
                lines.append(fitting)
        return lines


class Hints(Flow):
    """The keys of a screen. Without room for all, those before the last are dropped."""

    def __init__(self) -> None:
        super().__init__(id="hints", gap=2)

    def render(self) -> Content:
        width, height = self.size
        cells = list(self._cells)
        while len(cells) > 1 and len(self._wrapped(width, cells)) > max(1, height):
            del cells[-2]
        return Content("\n").join(self._wrapped(width, cells))


def hint(key: str, name: str, able: bool = True) -> Content:
    """Return a key and its action for a line of hints; dim while the action is not available."""
    return Content.assemble((key, "bold $accent" if able else "$frame"), (f" {name}", "$muted" if able else "$frame"))
