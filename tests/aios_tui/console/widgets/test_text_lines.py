"""Long texts as lines, and short ones in a flow: nothing is lost, nothing is wider than its room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content

from aios_tui.console.preferences import Preferences
from aios_tui.console.theming import ThemeManager, variable_defaults, variables_of
from aios_tui.console.widgets.hint_bar import Flow
from aios_tui.console.widgets.text_lines import LONGEST_MARKDOWN, SHORT, Kind, TextLines, lay_out
from tests.aios_tui.console.settling import settle
from themes import builtin_themes

THEME = builtin_themes()[0]
COLOURS = variables_of(THEME) | {
    name: value for name, value in THEME.colours.model_dump().items() if isinstance(value, str)
}


def plain_lines(text: str, width: int = 40, kind: Kind = "markdown") -> list[str]:
    return [strip.text.rstrip() for strip in lay_out(text, width, kind, COLOURS)]


def test_markdown_is_laid_out() -> None:
    assert plain_lines("# One\n\nsome **bold** [link](http://x.y)\n\n- a\n- b") == [
        "One",
        "",
        "some bold link (http://x.y)",
        "",
        " • a",
        " • b",
    ]


def test_links_are_words_and_no_terminal_links() -> None:
    strips = lay_out("[click](http://x.y) <http://z.w>", 60, "markdown", COLOURS)
    assert all(segment.style is None or segment.style.link is None for strip in strips for segment in strip)


def test_plain_text_is_as_it_is() -> None:
    assert plain_lines("# One\n  **two**\tx", kind="plain") == ["# One", "  **two**   x"]


def test_what_is_too_long_for_markdown_is_plain() -> None:
    line = "# " + "a" * 37
    lines = plain_lines(f"{line}\n" * (LONGEST_MARKDOWN // 40 + 1))
    assert lines == [line] * (LONGEST_MARKDOWN // 40 + 1) + [""]


@given(st.text(max_size=200), st.integers(1, 30), st.sampled_from(["markdown", "plain"]))
def test_any_text_can_be_laid_out(text: str, width: int, kind: Kind) -> None:
    for strip in lay_out(text, width, kind, COLOURS):
        assert "\x1b" not in strip.text
        assert "\n" not in strip.text


@given(st.text(alphabet="ab [](){}<>*_`#-+|!:\\\n~>1.&", max_size=120))
def test_any_markup_can_be_laid_out(text: str) -> None:
    assert isinstance(lay_out(text, 30, "markdown", COLOURS), list)


class Page(App[None]):
    def __init__(self, *texts: TextLines | Flow) -> None:
        super().__init__()
        self.texts = texts

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults()

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield from self.texts

    def on_mount(self) -> None:
        ThemeManager(self, folder=None, preferences=Preferences(), report=self.notify).apply()


@pytest.mark.parametrize("length", [SHORT // 2, SHORT * 3])
async def test_it_is_laid_out_anew_for_another_width(length: int) -> None:
    text = "word " * (length // 5)
    lines = TextLines(text)
    app = Page(lines)
    async with app.run_test(size=(50, 20)) as pilot:
        await settle(app, pilot)
        before = lines.size.height
        await pilot.resize_terminal(25, 20)
        await settle(app, pilot)
        assert lines.size.height > before * 1.5
        lines.update("short")
        await settle(app, pilot)
        assert lines.size.height == 1
        assert lines.render_line(0).text.rstrip() == "short"


async def test_another_theme_recolours_markdown() -> None:
    lines = TextLines("# One", kind="markdown")
    app = Page(lines)
    async with app.run_test(size=(50, 20)) as pilot:
        await settle(app, pilot)

        def colour() -> str:
            style = next(iter(lines.render_line(0))).style
            assert style is not None
            assert style.color is not None
            return style.color.get_truecolor().hex

        for theme in builtin_themes():
            app.theme = theme.name
            await settle(app, pilot)
            assert colour() == theme.colours.primary


async def test_a_flow_breaks_between_texts_only() -> None:
    flow = Flow([Content("waited 5.70 s"), Content("turnaround 12.9 s"), Content("a" * 60)])
    app = Page(flow)
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.pause()
        assert str(flow.render()).splitlines() == ["waited 5.70 s   turnaround 12.9 s", "a" * 39 + "…"]
        await pilot.resize_terminal(24, 20)
        await pilot.pause()
        assert [line[:10] for line in str(flow.render()).splitlines()] == ["waited 5.7", "turnaround", "a" * 10]
        assert flow.size.height == 3
