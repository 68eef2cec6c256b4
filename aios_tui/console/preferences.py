"""Values remembered between runs: the theme, the draft of the new-task form, the quick line's history.

They are in one small JSON file in the user's state folder. A file that is lost, broken or not writable costs those
values and nothing else.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import UsageError
from engine.files import write_private_text
from engine.task import DEFAULT_PRIORITY, MAX_PROMPT_CHARS, Name, Priority, Text

HISTORY_LENGTH = 200
MAX_COUNT = 1_000
"""The most tasks the form submits at once."""
MAX_BYTES = 8 * MAX_PROMPT_CHARS


class FormValues(BaseModel):
    """The new-task form as it was left. `draft` is the unsubmitted prompt; a form without one is forgotten."""

    model_config = ConfigDict(frozen=True)

    draft: Text = ""
    agent: Name = "chat"
    priority: Priority = DEFAULT_PRIORITY
    model: Name | None = None
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)] = 1


class Remembered(BaseModel):
    """The remembered values. `history` holds the quick line's entries, newest last."""

    model_config = ConfigDict(frozen=True)

    theme: Name | None = None
    form: FormValues = FormValues()
    history: tuple[Text, ...] = ()


class Preferences:
    """The remembered values and their file; without a path they last as long as the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.values = _read(path)

    def update(self, **changes: Any) -> None:
        """Validate and change some fields of `Remembered`, and write the file; a failed write is ignored."""
        self.values = Remembered.model_validate({**dict(self.values), **changes})
        if self._path is not None:
            with contextlib.suppress(UsageError):
                write_private_text(self._path, self.values.model_dump_json(indent=1))

    def add_history(self, line: str) -> None:
        """Append a line to the history, removing an older equal one; the newest 200 are remembered."""
        older = [entry for entry in self.values.history if entry != line]
        self.update(history=(*older, line)[-HISTORY_LENGTH:])


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
