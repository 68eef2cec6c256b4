"""A widget of a few drawn lines that redraws only those that changed."""

from __future__ import annotations

from textual.geometry import Region
from textual.strip import Strip

from aios_tui.console.widgets.styled_lines import Line, LineWidget


class Canvas(LineWidget):
    """Subclasses implement `build`; `redraw` builds again and refreshes the lines that differ from those shown."""

    _shown: list[tuple[str, Line]] | None = None
    bases: dict[int, str]
    """Style under a whole line, by line number, where it is not the widget's own; `build` fills it each time."""

    def build(self, width: int, height: int) -> list[Line]:
        """Return the lines to show: at most `height`, each at most `width` cells."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Build again, and refresh what changed."""
        width, height = self.size
        if not width or not height or not self.is_attached:
            return
        old, new = self._shown, self._build_lines(width, height)
        self._shown = new
        if old is None or len(old) != len(new):
            self.refresh()
            return
        for y, (before, after) in enumerate(zip(old, new, strict=True)):
            if before != after:
                self.refresh(Region(0, y, width, 1))

    def _build_lines(self, width: int, height: int) -> list[tuple[str, Line]]:
        self.bases = {}
        lines = self.build(width, height)[:height]
        lines += [()] * (height - len(lines))
        return [(self.bases.get(y, ""), line) for y, line in enumerate(lines)]

    def on_resize(self) -> None:
        self._shown = None
        self.redraw()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._shown is None or len(self._shown) != height:
            self._shown = self._build_lines(width, height)
        base, line = self._shown[y] if y < len(self._shown) else ("", ())
        return self.strip_of(line, width, base)
