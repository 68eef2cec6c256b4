"""The embedded core on the real weights: the suite of every core, and what is its own."""

from __future__ import annotations

import pytest

from engine.cores.embedded import EmbeddedCore, available
from engine.cores.port import Core
from tests.cores.conformance import CoreConformance

needs_model = pytest.mark.skipif(available() is not None, reason=str(available()))


@pytest.mark.embedded
@needs_model
class TestConformance(CoreConformance):
    def make_core(self) -> Core:
        return EmbeddedCore(slots=2, n_ctx=2048)
