"""Themes in the console: conversion to Textual, live reload of the user's own themes, and the remembered choice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App
from textual.theme import Theme as TextualTheme

from aios_tui.console.preferences import Preferences
from engine.sanitise import one_line
from engine.wording import did_you_mean
from themes import DEFAULT_THEME, Theme, builtin_themes, load_files

INKS = ("primary", "secondary", "accent", "success", "warning", "error")
"""The colours of text and marks, which a theme and Textual call the same."""
Report = Callable[[str], None]


def variables_of(theme: Theme) -> dict[str, str]:
    """Return the style variables of a theme, beyond Textual's own colours.

    For the console's styles: `$muted`, `$cursor`, `$frame` (borders at rest) and `$priority-0` … `$priority-9`.
    The rest overrides what Textual would derive, so that the theme's author decides the contrast.
    """
    colours = theme.colours
    own = {
        "muted": colours.muted,
        "cursor": colours.cursor,
        "frame": colours.border,
        **{f"priority-{level}": colour for level, colour in enumerate(colours.priority)},
    }
    textual = {
        "text-muted": colours.muted,
        "foreground-muted": colours.muted,
        **{f"text-{role}": getattr(colours, role) for role in INKS},
        "border": colours.primary,
        "border-blurred": colours.border,
        "block-cursor-background": colours.cursor,
        "block-cursor-foreground": colours.foreground,
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": colours.panel,
        "block-cursor-blurred-foreground": colours.foreground,
        "block-hover-background": colours.panel,
        "button-color-foreground": colours.background,
        "footer-background": colours.panel,
        "footer-key-foreground": colours.accent,
        "input-selection-background": colours.cursor,
        "markdown-h6-color": colours.muted,
        "scrollbar": colours.border,
        "scrollbar-hover": colours.muted,
        "scrollbar-active": colours.primary,
        "scrollbar-background": colours.surface,
        "scrollbar-background-hover": colours.surface,
        "scrollbar-background-active": colours.surface,
    }
    return textual | own | theme.variables


def variable_defaults() -> dict[str, str]:
    """Return the values for `App.get_theme_variable_defaults`.

    Without them, styles that use our variables fail under a theme that is not ours.
    """
    return variables_of(builtin_themes()[0])


def to_textual(theme: Theme) -> TextualTheme:
    """Convert a theme to Textual's class."""
    colours = theme.colours
    return TextualTheme(
        name=theme.name,
        dark=theme.dark,
        **{role: getattr(colours, role) for role in (*INKS, "foreground", "background", "surface", "panel")},
        variables=variables_of(theme),
    )


class ThemeManager:
    """The themes of one app: the built-in ones and the user's, which may replace built-in ones.

    Args:
        folder: the user's themes; it need not exist.
        report: called with one line, which may hold untrusted text, when a user's theme can't be used.
    """

    def __init__(self, app: App[Any], *, folder: Path | None, preferences: Preferences, report: Report) -> None:
        self._app = app
        self._folder = folder
        self._preferences = preferences
        self._report = report
        self._built_in = {theme.name: theme for theme in builtin_themes()}
        self._users: dict[str, Theme] = {}  # by file name; the last valid version of each
        self._problems: dict[str, str] = {}

    @property
    def available(self) -> dict[str, Theme]:
        """All themes by name: the default, the other built-in ones, the user's."""
        return self._built_in | {theme.name: theme for theme in self._users.values()}

    def apply(self, preferred: str | None = None) -> None:
        """Register every theme and use `preferred`, else the remembered one, else the default."""
        for theme in self._built_in.values():
            self._app.register_theme(to_textual(theme))
        self.reload()
        wanted = preferred or self._preferences.values.theme or DEFAULT_THEME
        if preferred and preferred not in self.available:
            self._report(f"unknown theme {one_line(preferred, 60)!r}; {did_you_mean(preferred, self.available)}")
        self._app.theme = wanted if wanted in self.available else DEFAULT_THEME

    def preview(self, name: str) -> None:
        """Show a theme without remembering it; an unknown name changes nothing."""
        if name in self.available:
            self._app.theme = name

    def save(self, name: str) -> None:
        """Show a theme and remember it for the next start."""
        self.preview(name)
        self._preferences.update(theme=self._app.theme)

    def reload(self) -> None:
        """Read the folder again. A broken file keeps its last valid theme and is reported once."""
        if self._folder is None:
            return
        found, problems = load_files(self._folder)
        before = self.available
        self._users = found | {name: self._users[name] for name in problems if name in self._users}
        after = self.available
        for name in before.keys() - after.keys():
            if self._app.theme == name:
                self._app.theme = DEFAULT_THEME
            self._app.unregister_theme(name)
        for name, theme in after.items():
            if before.get(name) != theme or name not in self._app.available_themes:
                self._app.register_theme(to_textual(theme))
                if self._app.theme == name:
                    self._app.mutate_reactive(App.theme)
        lines = {name: one_line(str(problem), 300) for name, problem in problems.items()}
        for name, line in lines.items():
            if self._problems.get(name) != line:
                kept = "; the last valid version stays in use" if name in self._users else ""
                self._report(f"theme {line}{kept}")
        self._problems = lines

    async def watch(self, stop: asyncio.Event | None = None) -> None:
        """Reload whenever a file in the folder changes, until `stop` is set or the task is cancelled."""
        if self._folder is None:
            return
        from watchfiles import awatch

        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            seen = False  # changes made before the watcher was up show when it first reports no change
            async for changes in awatch(
                self._folder, stop_event=stop, recursive=False, debounce=200, yield_on_timeout=True
            ):
                if changes or not seen:
                    self.reload()
                seen = True
        except (OSError, RuntimeError) as error:
            self._report(f"theme changes are not applied: {one_line(str(error), 200)}")
