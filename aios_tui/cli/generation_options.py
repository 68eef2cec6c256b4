"""The options of `run` and `submit` that describe a task: its agent, its priority, and how the model generates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from aios_tui.cli.options import complete, saved_settings, with_options
from engine.files import file_error
from engine.sanitise import one_line
from engine.wording import did_you_mean

_F = TypeVar("_F", bound=Callable[..., Any])

THINK = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
LEVELS = ("low", "medium", "high")
_MAX_SCHEMA_CHARS = 1 << 20


def _option_keys() -> list[str]:
    from engine.task import GenerationOptions

    return [f"{name}=" for name in GenerationOptions.model_fields]


def _agent_names() -> Iterable[str]:
    from engine.agents.catalogue import load_catalogue

    return load_catalogue(saved_settings().agents_folder)[0].names()


_TASK = (
    click.option("--agent", metavar="AGENT", shell_complete=complete(_agent_names), help="The agent; chat by default."),
    click.option("--priority", type=int, metavar="0-9", help="0 is most urgent, 9 least; 5 by default."),
)
GENERATION = {
    "max_tokens": click.option("--max-tokens", type=int, metavar="N", help="Longest reply of a round, in tokens."),
    "temperature": click.option("--temperature", type=float, metavar="T", help="Sampling temperature."),
    "seed": click.option(
        "--seed", type=int, metavar="N", help="Random seed; if the core can, the same seed repeats a reply."
    ),
    "num_ctx": click.option(
        "--num-ctx", type=int, metavar="N", help="Context length in tokens, if the core can set it."
    ),
    "think": click.option(
        "--think",
        metavar="on|off|LEVEL",
        shell_complete=complete(lambda: ("on", "off", *LEVELS)),
        help="Think first: on, off, or how much.",
    ),
    "format": click.option(
        "--format", metavar="json|SCHEMA", help="Reply in JSON, or by a JSON schema, given as text or a file."
    ),
    "keep_alive": click.option(
        "--keep-alive", metavar="TIME", help="Time the model stays loaded: 5m, 1h, 0, or -1 for ever."
    ),
    "option": click.option(
        "--option",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=complete(_option_keys),
        help="Any other model option.",
    ),
}


def task_options(command: _F) -> _F:
    """Add these options; the command gets agent and priority as such, the others as `options` for GenerationOptions."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name, None) for name in GENERATION}
        return command(*args, options=_parse_options(given), **kwargs)

    return with_options(*_TASK, *GENERATION.values())(wrapped)  # type: ignore[return-value]


def flag_of(name: str) -> str:
    """Return the option that sets the field `name` of a task or of its options."""
    from engine.task import GenerationOptions

    general = name in GenerationOptions.model_fields and name not in GENERATION
    return f"--option {name}" if general else f"--{name.replace('_', '-')}"


def _parse_options(given: dict[str, Any]) -> dict[str, Any]:
    options = _parse_pairs(given.pop("option", ()))
    options |= {name: value for name, value in given.items() if value is not None}
    if isinstance(options.get("think"), str):
        options["think"] = _parse_think(options["think"])
    if isinstance(options.get("format"), str):
        options["format"] = _parse_format(options["format"])
    return options


def _parse_pairs(texts: Iterable[str]) -> dict[str, Any]:
    """Parse `KEY=VALUE` options; a value that is JSON is read as such, and `stop` may be given several times."""
    from engine.task import GenerationOptions

    options: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not separator:
            raise click.UsageError(f"--option {one_line(text, 80)!r} is not of the form KEY=VALUE")
        if key not in GenerationOptions.model_fields:
            hint = did_you_mean(key, GenerationOptions.model_fields, listed=100)
            raise click.UsageError(f"--option {one_line(key, 40)!r} is unknown; {hint}")
        if key in ("keep_alive", "format", "think", "endpoint"):
            options[key] = value
        elif key == "stop":
            options[key] = [*options.get(key, ()), *_parse_stops(value)]
        else:
            options[key] = _parse_json(value)
    return options


def _parse_json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _parse_stops(value: str) -> list[Any]:
    found = _parse_json(value)
    return found if isinstance(found, list) else [found if isinstance(found, str) else value]


def _parse_think(text: str) -> bool | str:
    word = text.strip().lower()
    if word not in THINK and word not in LEVELS:
        raise click.UsageError(f"--think {one_line(text, 40)!r} is none of on, off, {', '.join(LEVELS)}")
    return THINK.get(word, word)


def _parse_format(text: str) -> Any:
    """Return "json", or the schema that `text` is or whose file it names."""
    if text.strip().lower() == "json":
        return "json"
    where, source = "--format", text
    if not text.lstrip().startswith("{"):
        where = f"--format {one_line(text, 200)}"
        try:
            with Path(text).expanduser().open(encoding="utf-8") as file:
                source = file.read(_MAX_SCHEMA_CHARS + 1)
        except (OSError, ValueError) as error:
            reason = file_error(error) if isinstance(error, OSError) else "it can't be read"
            raise click.UsageError(f"{where}: {reason}; give json, a JSON schema, or the file of one") from None
        if len(source) > _MAX_SCHEMA_CHARS:
            raise click.UsageError(f"{where}: longer than 1 MiB")
    try:
        schema = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{where} is not JSON: {one_line(str(error), 100)}") from None
    if not isinstance(schema, dict):
        raise click.UsageError(f"{where} is not a JSON schema: it has to be an object")
    return schema
