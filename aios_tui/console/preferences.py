"""What the console remembers between two runs: the theme, the submit form's draft, the quick line's history.

One small JSON file in the user's state folder. It is a convenience: a file that is lost, broken or not writable costs
what was remembered and nothing else.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.task import DEFAULT_PRIORITY, MAX_PROMPT_CHARS, Name, Priority, Text

HISTORY_LENGTH = 200
MAX_COUNT = 1_000
"""Tasks that the form makes at most at once."""
MAX_BYTES = 8 * MAX_PROMPT_CHARS


class FormValues(BaseModel):
    """The submit form as it was left. `draft` is the prompt, not submitted yet; without one the next run forgets it."""

    model_config = ConfigDict(frozen=True)

    draft: Text = ""
    agent: Name = "chat"
    priority: Priority = DEFAULT_PRIORITY
    model: Name | None = None
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)] = 1


class Remembered(BaseModel):
    """All that is remembered. `history` holds the quick line's entries, the newest last."""

    model_config = ConfigDict(frozen=True)

    theme: Name | None = None
    form: FormValues = FormValues()
    history: tuple[Text, ...] = ()


class Preferences:
    """The remembered values, and the file they are kept in; without a path they last as long as the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.values = _read(path)

    def update(self, **changes: Any) -> None:
        """Change some fields of `Remembered`, validated, and write the file; a file that can't be written is let be."""
        self.values = Remembered.model_validate({**dict(self.values), **changes})
        if self._path is not None:
            _write(self._path, self.values.model_dump_json(indent=1))

    def add_history(self, line: str) -> None:
        """Append a line to the history; an older equal one goes, and so does what is older than the last 200."""
        kept = [old for old in self.values.history if old != line]
        self.update(history=(*kept, line)[-HISTORY_LENGTH:])


def _read(path: Path | None) -> Remembered:
    if path is None:
        return Remembered()
    try:
        if path.stat().st_size > MAX_BYTES:
            return Remembered()
        found = Remembered.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, ValueError):
        return Remembered()
    return found if found.form.draft.strip() else found.model_copy(update={"form": FormValues()})


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner alone: it holds prompts."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError:
        return
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
