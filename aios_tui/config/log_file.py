"""The log file: rotating, readable by its owner alone, and the only place that the program logs to."""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from engine.files import PRIVATE_FILE, file_error, make_private_folder

HANDLER = "aios-tui"
MAX_BYTES, KEPT = 1_000_000, 3
_NAMES = ("aios_tui", "engine", "persistence", "themes")


class _PrivateRotatingFile(RotatingFileHandler):
    """Rotating files with mode 0600: messages name files, models and agents."""

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        return os.fdopen(handle, "a", encoding="utf-8", errors="replace")


def set_up(path: Path, level: str) -> str | None:
    """Log to `path` from now on. Returns one line on why the file can't be opened, and then nothing is logged.

    Other libraries log warnings and errors only. Nothing goes to the terminal, where the console draws.
    """
    root = logging.getLogger()
    for old in [each for each in root.handlers if each.name == HANDLER]:
        root.removeHandler(old)
        old.close()
    problem = None
    handler: logging.Handler
    try:
        make_private_folder(path.parent)
        handler = _PrivateRotatingFile(path, maxBytes=MAX_BYTES, backupCount=KEPT)
    except OSError as error:
        problem = f"no log: {path}: {file_error(error)}"
        handler = logging.NullHandler()
    handler.name = HANDLER
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _NAMES:
        logging.getLogger(name).setLevel(level.upper())
    logging.raiseExceptions = False  # a full disk must not print into the console
    return problem
