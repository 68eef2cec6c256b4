"""The log file: rotating, private to its owner, and the only place where the program logs to."""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

HANDLER = "aios-tui"
MAX_BYTES, KEPT = 1_000_000, 3
_NAMES = ("aios_tui", "engine", "persistence", "themes")


class _PrivateRotatingFile(RotatingFileHandler):
    """Rotating files with mode 0600: at level debug they may hold prompts."""

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(handle, "a", encoding="utf-8", errors="replace")


def set_up(path: Path, level: str) -> str | None:
    """Log to `path` from now on; returns one line on why that can't be, and then nothing is logged.

    Other libraries are heard from warnings on. Nothing ever goes to the terminal, where the console draws.
    """
    root = logging.getLogger()
    for old in [each for each in root.handlers if each.name == HANDLER]:
        root.removeHandler(old)
        old.close()
    trouble = None
    handler: logging.Handler
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _PrivateRotatingFile(path, maxBytes=MAX_BYTES, backupCount=KEPT)
    except OSError as error:
        trouble = f"no log: {path}: {error.strerror or error}"
        handler = logging.NullHandler()
    handler.name = HANDLER
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _NAMES:
        logging.getLogger(name).setLevel(level.upper())
    logging.raiseExceptions = False  # a full disk must not print into the console
    return trouble
