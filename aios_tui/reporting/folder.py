"""Write a report's folder: report.md, report.json, tasks.csv and figures, all readable by their owner alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from aios_tui.reporting.markdown import markdown
from aios_tui.reporting.results import Results
from aios_tui.reporting.schema import report_of
from engine.errors import UsageError
from engine.files import atomic_writer, file_error, make_private_folder
from engine.replay.export import tasks_csv


def prepare(folder: Path) -> None:
    """Create the folder, before the runs start. Raises UsageError when it can't be created or written to."""
    try:
        make_private_folder(folder)
    except OSError as error:
        raise UsageError(f"--report {folder}: {file_error(error)}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--report {folder}: no permission to write there")


def report_text(results: Results) -> str:
    """Return report.json, indented for people."""
    return report_of(results).model_dump_json(indent=2) + "\n"


def write_report(folder: Path, results: Results) -> str | None:
    """Write all files, replacing those of an earlier report. Returns why there are no figures, None when there are.

    Raises:
        UsageError: a file can't be written.
    """
    prepare(folder)
    figures, missing = _draw(folder, results)
    _write(folder / "tasks.csv", map(_encoded, tasks_csv(result.run for result in results.results)))
    _write(folder / "report.json", [_encoded(report_text(results))])
    _write(folder / "report.md", [_encoded(markdown(results, figures))])
    return missing


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")


def _draw(folder: Path, results: Results) -> tuple[list[tuple[str, str]], str | None]:
    """Write the figures. Returns their names and captions, and why there are none."""
    try:
        from aios_tui.reporting import figures
    except ImportError as error:
        return [], f"no figures: {error.name or 'matplotlib'} is not installed (the extra `report` brings it)"
    drawn = []
    for name, caption, data in figures.draw_all(results):
        _write(folder / name, [data])
        drawn.append((name, caption))
    return drawn, None


def _write(path: Path, parts: Iterable[bytes]) -> None:
    try:
        with atomic_writer(path) as out:
            out.writelines(parts)
    except OSError as error:
        raise UsageError(f"{path}: {file_error(error)}") from None
