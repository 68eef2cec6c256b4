"""Themes in the console: from `themes` to Textual, the user's own ones, taken up live, and the remembered choice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App
from textual.theme import Theme as TextualTheme

from aios_tui.console.preferences import Preferences
from engine.sanitise import one_line
from themes import DEFAULT_THEME, Theme, builtin_themes, load_files

Told = Callable[[str], None]


def variables_of(theme: Theme) -> dict[str, str]:
    """The style variables a theme gives, beyond Textual's own colours.

    For the console's styles: `$muted`, `$cursor`, `$frame` (borders at rest) and `$priority-0` … `$priority-9`.
    The rest sets what Textual would otherwise derive, so that contrast is what the theme's author chose.
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
        "text-primary": colours.primary,
        "text-secondary": colours.secondary,
        "text-accent": colours.accent,
        "text-success": colours.success,
        "text-warning": colours.warning,
        "text-error": colours.error,
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
    """For `App.get_theme_variable_defaults`: without them, styles that use our variables fail under a foreign theme."""
    return variables_of(builtin_themes()[0])


def to_textual(theme: Theme) -> TextualTheme:
    """The theme as Textual takes it."""
    colours = theme.colours
    return TextualTheme(
        name=theme.name,
        dark=theme.dark,
        primary=colours.primary,
        secondary=colours.secondary,
        accent=colours.accent,
        success=colours.success,
        warning=colours.warning,
        error=colours.error,
        foreground=colours.foreground,
        background=colours.background,
        surface=colours.surface,
        panel=colours.panel,
        variables=variables_of(theme),
    )


class ThemeManager:
    """The themes of one app: built in, and the user's from a folder, by which a built-in one may be replaced.

    Args:
        folder: where the user's themes lie; it need not exist.
        told: is called with one line, untrusted text in it, when a user's theme can't be used.
    """

    def __init__(self, app: App[Any], *, folder: Path | None, memory: Preferences, told: Told) -> None:
        self._app = app
        self._folder = folder
        self._memory = memory
        self._told = told
        self._built_in = {theme.name: theme for theme in builtin_themes()}
        self._users: dict[str, Theme] = {}  # by file name; the last good ones
        self._problems: dict[str, str] = {}

    @property
    def themes(self) -> dict[str, Theme]:
        """All that can be chosen, by name: built-in ones first, the default at their head."""
        return self._built_in | {theme.name: theme for theme in self._users.values()}

    def apply(self, preferred: str | None = None) -> None:
        """Register every theme and take `preferred`, else the remembered one, else the default."""
        for theme in self._built_in.values():
            self._app.register_theme(to_textual(theme))
        self.reload()
        wanted = preferred or self._memory.values.theme or DEFAULT_THEME
        if preferred and preferred not in self.themes:
            self._told(f"theme {one_line(preferred, 60)!r} is unknown; there are {', '.join(self.themes)}")
        self._app.theme = wanted if wanted in self.themes else DEFAULT_THEME

    def preview(self, name: str) -> None:
        """Show a theme, for now; an unknown name changes nothing."""
        if name in self.themes:
            self._app.theme = name

    def keep(self, name: str) -> None:
        """Show a theme, and remember it for next time."""
        self.preview(name)
        self._memory.update(theme=self._app.theme)

    def reload(self) -> None:
        """Take up the folder as it is now. A broken file keeps its last good theme; it is told once."""
        if self._folder is None:
            return
        found, problems = load_files(self._folder)
        before = self.themes
        self._users = found | {name: self._users[name] for name in problems if name in self._users}
        after = self.themes
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
                kept = "; its last good version stays" if name in self._users else ""
                self._told(f"theme {line}{kept}")
        self._problems = lines

    async def watch(self, stop: asyncio.Event | None = None) -> None:
        """Reload whenever a file in the folder changes, until `stop` is set or the task is cancelled."""
        if self._folder is None:
            return
        from watchfiles import awatch

        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            seen = False  # what changed before the watcher was up shows when it first says that nothing did
            async for changes in awatch(
                self._folder, stop_event=stop, recursive=False, debounce=200, yield_on_timeout=True
            ):
                if changes or not seen:
                    self.reload()
                seen = True
        except (OSError, RuntimeError) as error:
            self._told(f"theme changes are not taken up: {one_line(str(error), 200)}")
