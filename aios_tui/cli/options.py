"""Options that several commands share, and the settings that result from them.

Every command accepts every setting's option, before or after its name, so that an alias or a script can set `--db` and
`--core` once for all. `--help` of a command lists only those that the command reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.sanitise import one_line

if TYPE_CHECKING:
    from aios_tui.config.settings import Loaded, Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_META = "aios_tui.options"


def complete(words: Callable[[], Iterable[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a shell completion that offers `words()`."""
    return lambda ctx, param, incomplete: [word for word in dict.fromkeys(words()) if word.startswith(incomplete)]


def with_options(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Add click options and arguments, listed in the order of the help."""
    return lambda command: reduce(lambda decorated, option: option(decorated), reversed(options), command)


def saved_settings() -> Settings:
    """Return the settings for a shell completion: without options, and invalid ones at their defaults."""
    from aios_tui.config import settings

    return settings.read_settings()[0].settings


def _theme_names(folder: Path) -> list[str]:
    from themes import builtin_themes, load_folder

    return list(dict.fromkeys(theme.name for theme in (*builtin_themes(), *load_folder(folder)[0])))


SETTINGS: Mapping[str, dict[str, Any]] = {
    "config": {"type": Path, "metavar": "PATH", "help": "The settings file."},
    "db": {"type": Path, "metavar": "PATH", "help": "The history database."},
    "core": {
        "metavar": "CORE",
        "shell_complete": complete(lambda: [*saved_settings().cores, "auto", "embedded", "ollama", "scripted:"]),
        "help": "auto, or with commas: your cores, embedded, ollama, ollama@URL, openai@URL, presets, scripted:…",
    },
    "model": {"metavar": "MODEL", "help": "The model of tasks that name none."},
    "policy": {
        "metavar": "POLICY",
        "shell_complete": complete(lambda: ("fifo", "npps")),
        "help": "fifo, npps or npps:ageing=SECONDS, with affinity=PASSES.",
    },
    "slots": {"type": int, "metavar": "N", "help": "Tasks that run at a time on a core."},
    "theme": {
        "metavar": "NAME",
        "shell_complete": complete(lambda: _theme_names(saved_settings().themes_folder)),
        "help": "The console's colour theme.",
    },
    "log_level": {
        "metavar": "LEVEL",
        "shell_complete": complete(lambda: ("debug", "info", "warning", "error")),
        "help": "debug, info, warning or error.",
    },
}
SERVING: Mapping[str, dict[str, Any]] = {
    "host": {"metavar": "HOST", "help": "Address to listen on; 127.0.0.1 by default."},
    "port": {"type": int, "metavar": "PORT", "help": "Port to listen on; 8000 by default."},
    "aliases": {"multiple": True, "metavar": "NAME=MODEL", "help": "Serve MODEL to clients that ask for NAME."},
    "metrics": {"is_flag": True, "default": None, "help": "Serve Prometheus metrics at /metrics."},
}
_FLAGS = {"aliases": "--alias"}


def settings_options(*shown: str) -> Callable[[_F], _F]:
    """Add the options of all settings; `--help` lists those named in `shown`. `load_settings` reads what was given."""
    return _stored_options({name: {**given, "hidden": name not in shown} for name, given in SETTINGS.items()})


def json_option(help: str) -> Callable[[_F], _F]:
    """Add `--json`, which the command gets as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def _stored_options(options: Mapping[str, dict[str, Any]]) -> Callable[[_F], _F]:
    """Add options whose values are stored for `load_settings` instead of being passed to the command."""

    def decorate(command: _F) -> _F:
        @wraps(command)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            for name in options:
                value = kwargs.pop(name, None)
                if name == "aliases":
                    value = dict(_parse_alias(each) for each in value or ()) or None
                if value is not None:
                    given_options()[name] = value
            return command(*args, **kwargs)

        flags = {name: _FLAGS.get(name, f"--{name.replace('_', '-')}") for name in options}
        added = with_options(*(click.option(flags[name], name, **given) for name, given in options.items()))
        return added(wrapped)  # type: ignore[return-value]

    return decorate


serving_options = _stored_options(SERVING)
"""Adds the options of the HTTP service; `load_settings` reads what was given."""
record_option = _stored_options(
    {"record": {"type": Path, "metavar": "FILE", "help": "Record submissions and changes as a workload file."}}
)
"""Adds `--record`; call `take_option` for it before `load_settings`."""


def _parse_alias(text: str) -> tuple[str, str]:
    name, _, model = text.partition("=")
    if not name.strip() or not model.strip():
        raise click.UsageError(f"--alias {one_line(text, 80)!r} is not of the form NAME=MODEL")
    return name.strip(), model.strip()


def given_options() -> dict[str, Any]:
    """Return the stored options of this call by name, to be read or changed before `load_settings`."""
    options: dict[str, Any] = click.get_current_context().find_root().meta.setdefault(_META, {})
    return options


def take_option(name: str) -> Any:
    """Remove a stored option and return its value, None if it was not given; `load_settings` will not see it."""
    return given_options().pop(name, None)


def has_model_option() -> bool:
    """Return True when `--model` was given: the tasks name that model, and fail without it."""
    return "model" in given_options()


def load_settings() -> Loaded:
    """Load the settings with this call's options, and set up logging. Raises UsageError with one line."""
    from engine.errors import UsageError

    loaded, problems = read_settings()
    if problems:
        raise UsageError(problems[0])
    return loaded


def read_settings(*, check_theme: bool = True) -> tuple[Loaded, list[str]]:
    """Like `load_settings`, but invalid values fall back to their defaults and are returned as one line each.

    `check_theme` counts an unknown `--theme` among them.
    """
    from dataclasses import replace

    from aios_tui.config import log_file, paths, settings

    options = dict(given_options())
    if "record" in options:
        raise click.UsageError("--record is for the commands that run tasks: the console, `run` and `serve`")
    loaded, problems = settings.read_settings(options, config=options.pop("config", None))
    if check_theme and "theme" in options and (unknown := unknown_theme(loaded.settings)):
        problems.append(unknown)
        origins = {key: origin for key, origin in loaded.origins.items() if key != "theme"}
        loaded = replace(loaded, settings=loaded.settings.model_copy(update={"theme": None}), origins=origins)
    log_file.set_up(paths.log_file(), loaded.settings.log_level)
    return loaded, problems


def unknown_theme(settings: Settings) -> str:
    """Return a line that reports the theme in `settings` as unknown; empty when it exists."""
    from engine.wording import did_you_mean

    names = _theme_names(settings.themes_folder)
    if settings.theme is None or settings.theme in names:
        return ""
    return one_line(f"unknown theme {one_line(settings.theme, 60)!r}; {did_you_mean(settings.theme, names)}", 500)
