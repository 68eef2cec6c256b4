"""Read settings from a TOML file and the environment. Errors are collected; valid values are still read."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from engine.sanitise import one_line
from engine.wording import nearest

MAX_FILE_BYTES = 1 << 20
LISTS, TABLES = ("hosts", "origins"), ("aliases", "cores")
"""Keys with a list or table; in the environment their values are JSON."""
PATHS = ("db", "agents_folder", "themes_folder", "workloads_folder")
"""Keys whose values in the file may be relative to its folder."""


def from_file(path: Path, known: Collection[str], problems: list[str], *, required: bool) -> dict[str, Any]:
    """Return the file's values and add a line to `problems` per error. `required`: a missing file is an error."""
    where = f"settings file {path}"
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        if required or not isinstance(error, FileNotFoundError | NotADirectoryError):
            problems.append(f"{where}: {error.strerror or error}")
        return {}
    if len(raw) > MAX_FILE_BYTES:
        problems.append(f"{where}: larger than {MAX_FILE_BYTES >> 20} MiB")
        return {}
    try:
        values = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(one_line(f"{where}: not TOML: {error}"))
        return {}
    found = {key: value for key, value in values.items() if _is_known(key, where, str, known, problems)}
    for key in PATHS:
        if isinstance(found.get(key), str) and found[key]:
            found[key] = path.parent / Path(found[key]).expanduser()
    tables = found.get("cores")
    for table in tables.values() if isinstance(tables, dict) else ():
        if isinstance(table, dict) and isinstance(table.get("key_file"), str) and table["key_file"]:
            table["key_file"] = path.parent / Path(table["key_file"]).expanduser()
    return found


def from_environment(
    environ: Mapping[str, str], known: Collection[str], prefix: str, problems: list[str]
) -> dict[str, Any]:
    """Return the variables' values and add a line to `problems` per error. Lists and tables are JSON."""
    variables = {key.upper(): value for key, value in environ.items() if key.upper().startswith(prefix)}
    variables.pop(f"{prefix}CONFIG", None)
    found: dict[str, Any] = {}
    for variable, value in variables.items():
        key = variable.removeprefix(prefix).lower()
        if not _is_known(key, "environment", lambda key: f"{prefix}{key.upper()}", known, problems):
            continue
        try:
            found[key] = json.loads(value) if key in (*LISTS, *TABLES) else value
        except (ValueError, RecursionError):
            example = '["first", "second"]' if key in LISTS else '{"name": "value"}'
            problems.append(f"{variable}: not JSON; write it as {variable}='{example}'")
    return found


def _is_known(key: str, where: str, spell: Callable[[str], str], known: Collection[str], problems: list[str]) -> bool:
    """Return True when there is a setting `key`; otherwise add a line to `problems`."""
    if key in known:
        return True
    near = nearest(key, known, most=1, cutoff=0.6)
    hint = f"did you mean {spell(near[0])}?" if near else "`aios-tui settings` lists them all"
    problems.append(one_line(f"{where}: no setting is called {spell(key)}; {hint}"))
    return False
