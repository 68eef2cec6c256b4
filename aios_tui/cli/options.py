"""The options that every command takes, before or after its name, and the settings that come of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.config.settings import Loaded, Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_KEY = "aios_tui.options"


def _one_of(*words: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """For shell completion: the words an option knows."""
    return lambda ctx, param, incomplete: [word for word in words if word.startswith(incomplete)]


def _themes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For shell completion, which passes over what is bad in the settings: the command itself says so."""
    from aios_tui.config.settings import read_settings

    return [name for name in _theme_names(read_settings()[0].settings.themes_folder) if name.startswith(incomplete)]


def _theme_names(folder: Path) -> list[str]:
    from themes import builtin_themes, load_folder

    return list(dict.fromkeys(theme.name for theme in (*builtin_themes(), *load_folder(folder)[0])))


def _cores(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For shell completion: the user's own cores first."""
    from aios_tui.config.settings import read_settings

    words = [*read_settings()[0].settings.cores, "auto", "embedded", "ollama", "scripted:"]
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)]


_POLICIES = _one_of("fifo", "npps")
_LEVELS = _one_of("debug", "info", "warning", "error")

_COMMON = {
    "config": click.option("--config", type=Path, metavar="PATH", help="The settings file."),
    "db": click.option("--db", type=Path, metavar="PATH", help="The history database."),
    "core": click.option(
        "--core",
        metavar="CORE",
        shell_complete=_cores,
        help="auto, or with commas: your cores, embedded, ollama, ollama@URL, openai@URL, presets, scripted:…",
    ),
    "model": click.option("--model", metavar="MODEL", help="The model of tasks that name none."),
    "policy": click.option(
        "--policy",
        metavar="POLICY",
        shell_complete=_POLICIES,
        help="fifo, npps or npps:ageing=SECONDS, with affinity=PASSES.",
    ),
    "slots": click.option("--slots", type=int, metavar="N", help="How many tasks execute at a time."),
    "theme": click.option("--theme", metavar="NAME", shell_complete=_themes, help="The console's colour theme."),
    "log_level": click.option(
        "--log-level", metavar="LEVEL", shell_complete=_LEVELS, help="debug, info, warning or error."
    ),
}


_SERVING = {
    "host": click.option("--host", metavar="HOST", help="The address to answer on; 127.0.0.1 if not given."),
    "port": click.option("--port", type=int, metavar="PORT", help="The port to answer on; 8000 if not given."),
    "aliases": click.option(
        "--alias", "aliases", multiple=True, metavar="NAME=MODEL", help="Serve NAME, as clients call it, with MODEL."
    ),
    "metrics": click.option("--metrics", is_flag=True, default=None, help="Answer GET /metrics with Prometheus' text."),
}


_RECORDING = {
    "record": click.option(
        "--record", type=Path, metavar="FILE", help="Record what is submitted, and what is done to it, as a workload."
    ),
}


def common(command: _F) -> _F:
    """Add the common options; what is given is kept for `settings_of`, and not passed on."""

    return _keeping(command, _COMMON)


def serving(command: _F) -> _F:
    """Add the options of what serves clients, kept likewise."""
    return _keeping(command, _SERVING)


def recording(command: _F) -> _F:
    """Add the option of what can be recorded, kept likewise; `take` it before the settings."""
    return _keeping(command, _RECORDING)


def _keeping(command: _F, options: Mapping[str, Callable[[Any], Any]]) -> _F:
    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        kept: dict[str, Any] = click.get_current_context().find_root().meta.setdefault(_KEY, {})
        for name in options:
            value = kwargs.pop(name, None)
            if name == "aliases":
                value = dict(_alias(each) for each in value or ()) or None
            if value is not None:
                kept[name] = value
        return command(*args, **kwargs)

    for option in reversed(list(options.values())):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def _alias(text: str) -> tuple[str, str]:
    name, _, model = text.partition("=")
    if not name.strip() or not model.strip():
        raise click.UsageError(f"--alias {one_line(text, 80)!r} is not of the form NAME=MODEL")
    return name.strip(), model.strip()


def take(ctx: click.Context, name: str) -> Any:
    """The common option `name` as it was given, None when it was not; `settings_of` will not see it."""
    kept: dict[str, Any] = ctx.find_root().meta.get(_KEY, {})
    return kept.pop(name, None)


def settings_of(ctx: click.Context) -> Loaded:
    """The settings of this run, logging set up by them. Raises UsageError with one line."""
    from engine.errors import UsageError

    loaded, problems = readable_settings_of(ctx)
    if problems:
        raise UsageError(problems[0])
    return loaded


def readable_settings_of(ctx: click.Context) -> tuple[Loaded, list[str]]:
    """The same; what is bad is left at its default, and told in a line each."""
    from dataclasses import replace

    from aios_tui.config import log_file, paths
    from aios_tui.config.settings import read_settings

    options = dict(ctx.find_root().meta.get(_KEY, {}))
    if "record" in options:
        raise click.UsageError("--record is for the console, `run` and `serve`: there tasks are submitted")
    loaded, problems = read_settings(options, config=options.pop("config", None))
    if "theme" in options and (unknown := unknown_theme(loaded.settings)):
        problems.append(unknown)
        origins = {key: origin for key, origin in loaded.origins.items() if key != "theme"}
        loaded = replace(loaded, settings=loaded.settings.model_copy(update={"theme": None}), origins=origins)
    log_file.set_up(paths.log_file(), loaded.settings.log_level)
    return loaded, problems


def unknown_theme(settings: Settings) -> str:
    """A line that names the theme that is set, when there is none of that name; else empty."""
    names = _theme_names(settings.themes_folder)
    if settings.theme is None or settings.theme in names:
        return ""
    return one_line(f"unknown theme {one_line(settings.theme, 60)!r}: there are {', '.join(names)}", 500)
