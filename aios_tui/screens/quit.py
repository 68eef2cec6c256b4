"""What to do with running tasks when leaving."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.binding import BindingType
from textual.screen import ModalScreen


class QuitScreen(ModalScreen[Literal["drain", "stop"] | None]):
    """Returns `drain` (wait for them), `stop` (stop them and queue them again), or None to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "back")]
