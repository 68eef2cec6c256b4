"""The themes that come with the program: complete, and readable by WCAG's measure."""

from __future__ import annotations

import pytest

from tests.themes.helpers import contrast
from themes import DEFAULT_THEME, Theme, builtin_themes

THEMES = {theme.name: theme for theme in builtin_themes()}
SEMANTIC = ("primary", "secondary", "accent", "success", "warning", "error")
GROUNDS = ("background", "surface", "panel", "cursor")

every_theme = pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES.keys())


def ratio(theme: Theme, text: str, ground: str) -> float:
    return contrast(getattr(theme.colours, text), getattr(theme.colours, ground))


def test_formula_meets_the_values_that_wcag_gives() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert contrast("#777777", "#ffffff") < 4.5


def test_what_the_console_promises_is_there() -> None:
    assert next(iter(THEMES)) == DEFAULT_THEME == "aios-dark"
    assert {"aios-dark", "aios-midnight", "aios-light", "aios-contrast"} <= THEMES.keys()
    assert sum(theme.dark for theme in THEMES.values()) >= 2
    assert sum(not theme.dark for theme in THEMES.values()) >= 1
    assert all(theme.description for theme in THEMES.values())


@every_theme
@pytest.mark.parametrize("ground", GROUNDS)
def test_text_is_readable_on_every_ground(theme: Theme, ground: str) -> None:
    assert ratio(theme, "foreground", ground) >= 7
    for name in ("muted", *SEMANTIC):
        assert ratio(theme, name, ground) >= 4.5, f"{name} on {ground}"
    for level, colour in enumerate(theme.colours.priority):
        assert contrast(colour, getattr(theme.colours, ground)) >= 4.5, f"priority {level} on {ground}"


@every_theme
def test_frames_and_the_selected_row_can_be_seen(theme: Theme) -> None:
    assert ratio(theme, "border", "background") >= 3
    assert ratio(theme, "cursor", "surface") >= 1.3


@every_theme
def test_priorities_are_told_apart(theme: Theme) -> None:
    assert len(set(theme.colours.priority)) == 10


def test_high_contrast_is() -> None:
    theme = THEMES["aios-contrast"]
    for ground in ("background", "surface", "panel"):
        for name in ("foreground", "muted", *SEMANTIC):
            assert ratio(theme, name, ground) >= 7, f"{name} on {ground}"
    for colour in theme.colours.priority:
        assert contrast(colour, theme.colours.cursor) >= 7
    assert ratio(theme, "border", "background") >= 7
    assert (theme.colours.foreground, theme.colours.background) == ("#ffffff", "#000000")
