"""A report's folder: report.md, report.json, tasks.csv and figures."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from aios_tui.reporting.markdown import markdown
from aios_tui.reporting.results import Results
from aios_tui.reporting.schema import report_of
from engine.errors import UsageError
from engine.replay.export import tasks_csv


def prepare(folder: Path) -> None:
    """Make the folder, before anything is run for it. Raises UsageError when it can't be made or written in."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--report {folder}: {error.strerror or error}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--report {folder}: no permission to write there")


def report_text(results: Results) -> str:
    """report.json, a line of it at a time for people."""
    return report_of(results).model_dump_json(indent=2) + "\n"


def write_report(folder: Path, results: Results) -> str | None:
    """Write all of it, over what an earlier report left there. Returns why there are no figures, None when there are.

    Raises:
        UsageError: a file can't be written.
    """
    prepare(folder)
    try:
        figures, missing = _draw(folder, results)
        _write(folder / "tasks.csv", tasks_csv(result.run for result in results.results))
        _write(folder / "report.json", [report_text(results)])
        _write(folder / "report.md", [markdown(results, figures)])
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror or error}") from None
    return missing


def _draw(folder: Path, results: Results) -> tuple[list[tuple[str, str]], str | None]:
    try:
        from aios_tui.reporting import figures
    except ImportError as error:
        return [], f"no figures: {error.name or 'matplotlib'} is not installed (the extra `report` brings it)"
    drawn = []
    for name, caption, data in figures.draw_all(results):
        (folder / name).write_bytes(data)
        drawn.append((name, caption))
    return drawn, None


def _write(path: Path, parts: Iterable[str]) -> None:
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8", errors="replace", newline="") as out:
        out.writelines(parts)
    new.replace(path)
