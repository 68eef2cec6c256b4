"""The options of `run` and `submit` that say how the model is to generate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from engine.sanitise import one_line

_F = TypeVar("_F", bound=Callable[..., Any])

THINK = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
LEVELS = ("low", "medium", "high")
_SCHEMA_CAP = 1 << 20


def _thinks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For shell completion."""
    return [word for word in ("on", "off", *LEVELS) if word.startswith(incomplete)]


def _keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For shell completion."""
    from engine.task import GenerationOptions

    return [f"{name}=" for name in GenerationOptions.model_fields if name.startswith(incomplete)]


OPTIONS = {
    "max_tokens": click.option("--max-tokens", type=int, metavar="N", help="The longest reply of a round."),
    "temperature": click.option(
        "--temperature", type=float, metavar="T", help="How freely the model chooses its words."
    ),
    "seed": click.option(
        "--seed", type=int, metavar="N", help="The same seed gives the same words, where the core can."
    ),
    "num_ctx": click.option("--num-ctx", type=int, metavar="N", help="Tokens of context, where the core can be told."),
    "think": click.option(
        "--think", metavar="on|off|LEVEL", shell_complete=_thinks, help="Whether a model thinks first, or how much."
    ),
    "format": click.option(
        "--format", metavar="json|SCHEMA", help="The reply is JSON, or fits a JSON schema, given as text or a file."
    ),
    "keep_alive": click.option(
        "--keep-alive", metavar="TIME", help="How long the model stays in memory: 5m, 1h, 0, or -1 for ever."
    ),
    "option": click.option(
        "--option", multiple=True, metavar="KEY=VALUE", shell_complete=_keys, help="Any option of an agent's file."
    ),
}


def generating(command: _F) -> _F:
    """Add these options; the command gets what was given of them as `options`, as for GenerationOptions."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name, None) for name in OPTIONS}
        return command(*args, options=_options(given), **kwargs)

    for option in reversed(list(OPTIONS.values())):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def flag_of(name: str) -> str:
    """How the field `name` of a task, or of its options, is given on the command line."""
    from engine.task import GenerationOptions

    general = name in GenerationOptions.model_fields and name not in OPTIONS
    return f"--option {name}" if general else f"--{name.replace('_', '-')}"


def _options(given: dict[str, Any]) -> dict[str, Any]:
    options = _general(given.pop("option", ()))
    options |= {name: value for name, value in given.items() if value is not None}
    if isinstance(options.get("think"), str):
        options["think"] = _think(options["think"])
    if isinstance(options.get("format"), str):
        options["format"] = _format(options["format"])
    return options


def _general(texts: Iterable[str]) -> dict[str, Any]:
    """`--option KEY=VALUE`, the value as JSON where it is any; `stop` may be given several times."""
    from engine.task import GenerationOptions

    options: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not separator:
            raise click.UsageError(f"--option {one_line(text, 80)!r} is not of the form KEY=VALUE")
        if key not in GenerationOptions.model_fields:
            known = ", ".join(GenerationOptions.model_fields)
            raise click.UsageError(f"--option {one_line(key, 40)!r} is unknown; there are {known}")
        if key in ("keep_alive", "format", "think", "endpoint"):
            options[key] = value
        elif key == "stop":
            options[key] = [*options.get(key, ()), *_stops(value)]
        else:
            options[key] = _as_json(value)
    return options


def _as_json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _stops(value: str) -> list[Any]:
    found = _as_json(value)
    return found if isinstance(found, list) else [found if isinstance(found, str) else value]


def _think(text: str) -> bool | str:
    word = text.strip().lower()
    if word not in THINK and word not in LEVELS:
        raise click.UsageError(f"--think {one_line(text, 40)!r} is none of on, off, {', '.join(LEVELS)}")
    return THINK.get(word, word)


def _format(text: str) -> Any:
    """`json`, a schema as text, or the file of one."""
    if text.strip().lower() == "json":
        return "json"
    where, source = "--format", text
    if not text.lstrip().startswith("{"):
        where = f"--format {one_line(text, 200)}"
        try:
            with Path(text).expanduser().open(encoding="utf-8") as file:
                source = file.read(_SCHEMA_CAP + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it can't be read"
            raise click.UsageError(f"{where}: {reason}; give json, a JSON schema, or the file of one") from None
        if len(source) > _SCHEMA_CAP:
            raise click.UsageError(f"{where}: longer than 1 MiB")
    try:
        schema = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{where} is not JSON: {one_line(str(error), 100)}") from None
    if not isinstance(schema, dict):
        raise click.UsageError(f"{where} is not a JSON schema: it has to be an object")
    return schema
