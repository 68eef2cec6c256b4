"""The options that every command takes, before or after its name, and the settings that come of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from aios_tui.settings import Loaded

_F = TypeVar("_F", bound=Callable[..., Any])
_KEY = "aios_tui.options"


_COMMON = {
    "config": click.option("--config", type=Path, metavar="PATH", help="The settings file."),
    "db": click.option("--db", type=Path, metavar="PATH", help="The history database."),
    "core": click.option("--core", metavar="CORE", help="auto, embedded, ollama, ollama@URL or scripted:…"),
    "model": click.option("--model", metavar="MODEL", help="The model of tasks that name none."),
    "policy": click.option("--policy", metavar="POLICY", help="fifo, npps or npps:ageing=SECONDS."),
    "slots": click.option("--slots", type=int, metavar="N", help="How many tasks execute at a time."),
    "theme": click.option("--theme", metavar="NAME", help="The console's colour theme."),
    "log_level": click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error."),
}


def common(command: _F) -> _F:
    """Add the common options; what is given is kept for `settings_of`, and not passed on."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        kept: dict[str, Any] = click.get_current_context().find_root().meta.setdefault(_KEY, {})
        for name in _COMMON:
            value = kwargs.pop(name, None)
            if value is not None:
                kept[name] = value
        return command(*args, **kwargs)

    for option in reversed(_COMMON.values()):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def settings_of(ctx: click.Context) -> Loaded:
    """The settings of this run, logging set up by them. Raises UsageError with one line."""
    from aios_tui import logs, places
    from aios_tui.settings import load_settings

    options = dict(ctx.find_root().meta.get(_KEY, {}))
    loaded = load_settings(options, config=options.pop("config", None))
    logs.set_up(places.log_file(), loaded.settings.log_level)
    return loaded
