"""Colour themes: one TOML file each, and the loader. Depends on neither Textual nor the other packages."""

from __future__ import annotations

from pathlib import Path

from themes.theme import PRIORITIES, Colours, Theme, ThemeError, load_theme

DEFAULT_THEME = "aios-dark"

__all__ = [
    "DEFAULT_THEME",
    "PRIORITIES",
    "Colours",
    "Theme",
    "ThemeError",
    "builtin_themes",
    "load_files",
    "load_folder",
    "load_theme",
]


def builtin_themes() -> tuple[Theme, ...]:
    """Return the built-in themes, the default one first. Works from a wheel and from a checkout."""
    themes = map(load_theme, Path(__file__).parent.glob("*.toml"))
    return tuple(sorted(themes, key=lambda theme: (theme.name != DEFAULT_THEME, theme.name)))


def load_files(folder: Path) -> tuple[dict[str, Theme], dict[str, ThemeError]]:
    """Return the valid themes among a folder's `*.toml`, and the problems of the others; both by file name.

    A folder that does not exist has neither. Of two files with the same theme name, the first is used.
    """
    themes: dict[str, Theme] = {}
    problems: dict[str, ThemeError] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return {}, {}
    except OSError as error:
        return {}, {folder.name: ThemeError(f"{folder.name}: can't be read: {error.strerror or error}")}
    for path in paths:
        if path.exists() and not path.is_file():  # reading a pipe would block
            problems[path.name] = ThemeError(f"{path.name}: not a file")
            continue
        try:
            theme = load_theme(path)
        except ThemeError as problem:
            problems[path.name] = problem
            continue
        if any(theme.name == other.name for other in themes.values()):
            problems[path.name] = ThemeError(f"{path.name}: name: {theme.name!r} is taken by another file")
        else:
            themes[path.name] = theme
    return themes, problems


def load_folder(folder: Path) -> tuple[list[Theme], list[ThemeError]]:
    """Return the same as `load_files`, without file names."""
    themes, problems = load_files(folder)
    return list(themes.values()), list(problems.values())
