"""The list of workloads, and details of the highlighted one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Sparkline, Static
from textual.widgets.option_list import Option

from aios_tui.console.screen_keys import bindings
from aios_tui.console.widgets.workload_summary import facts_of, span_of
from aios_tui.workloads.catalogue import CatalogueEntry
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.workloads.summary import Summary

BINS = 200


class WorkloadList(OptionList):
    """Samples and files. A click only highlights; the screen handles enter."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("workloads", "open", target="screen.")

    def __init__(self) -> None:
        super().__init__(id="shelf", markup=False)
        self._entries: dict[str, CatalogueEntry] = {}

    @property
    def key(self) -> str:
        """The unique key of the highlighted workload; empty when there is none."""
        option = self.highlighted_option
        return "" if option is None else option.id or ""

    @property
    def entry(self) -> CatalogueEntry | None:
        """The highlighted workload."""
        return self._entries.get(self.key)

    def show(self, samples: Sequence[CatalogueEntry], folder: Path | None, files: Sequence[CatalogueEntry]) -> None:
        """List these workloads."""
        self.clear_options()
        self._entries.clear()
        self.add_option(Option(Content("Samples"), disabled=True))
        for entry in samples:
            self._add(f"sample {entry.name}", entry)
        if folder is not None:
            self.add_option(Option(Content(one_line(str(folder), 300)), disabled=True))
            if not files:
                nothing = "  nothing yet; R on the main screen records into it"
                self.add_option(Option(Content.styled(nothing, "$muted"), disabled=True))
        for entry in files:
            self._add(f"file {entry.path}", entry)
        self.highlighted = 1

    def point_to(self, entry: CatalogueEntry) -> None:
        """Highlight a file; it is added if it isn't listed."""
        key = f"file {entry.path}"
        if key not in self._entries:
            self._add(key, entry)
        self.highlighted = self.get_option_index(key)

    def _add(self, key: str, entry: CatalogueEntry) -> None:
        self._entries[key] = entry
        label = Content.assemble(one_line(entry.name, 200), (f"  {one_line(entry.about, 200)}", "$muted"))
        self.add_option(Option(label, id=key))


class WorkloadDetails(VerticalScroll):
    """Facts and arrivals of one workload."""

    def __init__(self) -> None:
        super().__init__(id="about", can_focus=False)

    def compose(self) -> ComposeResult:
        yield Static("", id="facts", markup=False)
        yield Sparkline([], id="arrivals")
        yield Static("", id="axis", markup=False)

    def show(self, entry: CatalogueEntry | None, found: Summary | str | None) -> None:
        """Draw the contents of `entry`: a summary, the reason it can't be read, or None while it is read."""
        self.border_title = Content(one_line(entry.name, 60)) if entry is not None else Content("")
        facts = self.query_one("#facts", Static)
        several = not isinstance(found, str) and found is not None and found.duration > 0
        self.set_class(not several, "-one")
        if found is None:
            facts.update(Content.styled("reading …" if entry is not None else "", "$muted"))
        elif isinstance(found, str):
            facts.update(Content.styled(found, "$error"))
        else:
            facts.update(facts_of(found))
            if several:
                self.query_one("#arrivals", Sparkline).data = [float(count) for count in found.arrivals(BINS)]
                self.query_one("#axis", Static).update(Content(f"arrivals over {span_of(found)}"))
