"""The core's own limits are for real servers: on a busy machine our fake one is slower."""

from __future__ import annotations

import pytest

from engine.cores.ollama.core import OllamaCore
from tests.waiting import PATIENCE_S


@pytest.fixture(autouse=True)
def patient_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give cores made without limits the patience of the tests."""
    defaults = OllamaCore.__init__.__kwdefaults__
    assert defaults is not None and {"connect_s", "look_s"} <= defaults.keys()
    for limit in ("connect_s", "look_s"):
        monkeypatch.setitem(defaults, limit, PATIENCE_S)
