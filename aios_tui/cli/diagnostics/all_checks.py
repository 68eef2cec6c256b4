"""All checks of `doctor`. A check that fails is a line of its own; it never keeps the others from running."""

from __future__ import annotations

import asyncio
import locale
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aios_tui import __version__
from aios_tui.cli.diagnostics.core_checks import Check, core_checks
from aios_tui.cli.options import unknown_theme
from aios_tui.cli.output import has_terminal
from aios_tui.config import paths
from aios_tui.config.settings import Loaded, Settings
from engine.errors import AiosError
from engine.sanitise import one_line

_PACKAGES = ("textual", "pydantic", "aiosqlite", "ollama")
_WAL_RESET_FIXED = (3, 51, 3)


async def all_checks(loaded: Loaded, problems: Sequence[str]) -> list[Check]:
    """Run all checks, in the order of the output; takes up to a few seconds. `problems` are the invalid settings."""
    settings = loaded.settings
    found = [*_versions(), *_settings(loaded, problems), *_paths(settings)]
    found += [*_agents(settings.agents_folder), *_themes(loaded)]
    found.append(await _history(settings.db))
    cores, embedded, gpu = await asyncio.gather(
        core_checks(settings), asyncio.to_thread(_embedded), asyncio.to_thread(_gpu)
    )
    return [*found, *cores, embedded, gpu, *_terminal()]


def _versions() -> Iterator[Check]:
    python = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    yield Check("version", "ok", f"aios-tui {__version__}, {python}")
    try:
        yield Check("packages", "ok", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    except PackageNotFoundError as error:
        yield Check("packages", "fail", f"{error.name} is not installed", "install aios-tui again")
    yield Check("sqlite", "ok", f"SQLite {sqlite3.sqlite_version}{_wal_note()}")


def _wal_note() -> str:
    if sqlite3.sqlite_version_info >= _WAL_RESET_FIXED:
        return ""
    return " (before 3.51.3; its WAL-reset bug needs two writing connections, and aios-tui has one)"


def _settings(loaded: Loaded, problems: Sequence[str]) -> Iterator[Check]:
    for problem in problems:
        yield Check("settings", "fail", problem, "fix it; the lines below use its default")
    if not problems:
        absent = "" if loaded.config.exists() else " (does not exist; the defaults are used)"
        yield Check("settings", "ok", f"{loaded.config}{absent}")


def _paths(settings: Settings) -> Iterator[Check]:
    folder = _nearest(settings.db.parent)
    if os.access(folder, os.W_OK):
        yield Check("history", "ok", f"{settings.db}")
    else:
        yield Check("history", "fail", f"{folder} can't be written to", "choose another file with --db")
    yield Check("log", "ok", f"{paths.log_file()}")


def _nearest(folder: Path) -> Path:
    """Return `folder`, or the nearest of its parents that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists() or each == each.parent)


def _agents(folder: Path) -> Iterator[Check]:
    from engine.agents.catalogue import load_catalogue

    catalogue, problems = load_catalogue(folder)
    yield Check("agents", "ok", f"{len(catalogue.names())}; your own in {folder}")
    for problem in problems:
        yield Check("agents", "warn", problem, "fix or remove the file")


def _themes(loaded: Loaded) -> Iterator[Check]:
    from themes import builtin_themes, load_folder

    folder = loaded.settings.themes_folder
    if unknown := unknown_theme(loaded.settings):
        advice = "fix it; until then the console uses its default theme"
        yield Check("themes", "warn", f"{loaded.origins.get('theme', 'default')}: {unknown}", advice)
    found, problems = load_folder(folder)
    yield Check("themes", "ok", f"{len(builtin_themes())} built in, {len(found)} in {folder}")
    for problem in problems:
        yield Check("themes", "warn", one_line(str(problem)), "fix or remove the file")


async def _history(path: Path) -> Check:
    from persistence import History

    if not await asyncio.to_thread(path.exists):
        return Check("database", "ok", "none yet; it is created when first needed")
    try:
        async with History(path) as history:
            problems = await history.check()
            counts = await history.counts()
    except AiosError as error:
        return Check("database", "fail", str(error))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return Check("database", "fail", f"{problems[0]}{more}", "keep a copy, and start a new one with --db")
    listed = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "empty"
    return Check("database", "ok", f"intact: {listed}")


def _embedded() -> Check:
    from engine.cores.embedded import weights
    from engine.cores.embedded.core import available
    from engine.cores.embedded.loaded_model import engine_version

    if reason := available():
        return Check("embedded", "warn", reason)
    try:
        path = weights.find()
        weights.verify(path)
    except AiosError as error:
        return Check("embedded", "fail", str(error))
    return Check("embedded", "ok", f"{weights.MODEL} in {path}, engine {engine_version()}")


def _gpu() -> Check:
    from engine.telemetry import Telemetry

    telemetry = Telemetry()
    try:
        sample = telemetry.sample()
    finally:
        telemetry.close()
    names = ", ".join(gpu.name for gpu in sample.gpus)
    return Check("gpu", "ok", names or sample.gpu_note)


def _terminal() -> Iterator[Check]:
    if not has_terminal():
        yield Check("terminal", "ok", "none; the console needs one, other commands do not")
        return
    columns, lines = shutil.get_terminal_size()
    kind = os.environ.get("TERM", "")
    if not kind or kind == "dumb":
        yield Check("terminal", "fail", f"TERM is {kind or 'not set'}", "set TERM, such as xterm-256color")
    small = columns < 80 or lines < 24
    yield Check(
        "terminal",
        "warn" if small else "ok",
        f"{kind}, {columns}×{lines}, {_colours(kind)}",
        "80×24 or more is better" if small else "",
    )
    encoding = (sys.stdout.encoding or locale.getpreferredencoding(False)).lower().replace("-", "")
    if encoding == "utf8":
        yield Check("unicode", "ok", "UTF-8")
    else:
        yield Check("unicode", "warn", f"the encoding is {encoding}", "set LANG to a UTF-8 locale, such as C.UTF-8")


def _colours(kind: str) -> str:
    if os.environ.get("NO_COLOR"):
        return "no colours: NO_COLOR is set"
    if os.environ.get("COLORTERM", "").lower() in {"truecolor", "24bit"}:
        return "16 million colours"
    return "256 colours" if "256" in kind else "16 colours, or more that it does not report"
