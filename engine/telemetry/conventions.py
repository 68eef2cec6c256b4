"""Histogram boundaries and label values, the same for every exporter."""

from __future__ import annotations

from engine.sanitise import one_line

DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TTFT_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TPOT_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""The boundaries that OpenTelemetry's GenAI conventions recommend, in seconds and tokens.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
"""

OTHER, UNKNOWN = "other", "unknown"
MAX_NAMES = 50
"""How many agents, cores and models get a series each; further ones are counted together as `other`."""


class Names:
    """A bounded set of label values: the first `limit` names stand for themselves, any later one is `other`."""

    def __init__(self, limit: int = MAX_NAMES) -> None:
        self._limit = limit
        self._known: dict[str, str] = {}

    def label(self, name: str | None) -> str:
        if not name:
            return UNKNOWN
        if name not in self._known:
            if len(self._known) >= self._limit:
                return OTHER
            self._known[name] = one_line(name, 100)
        return self._known[name]
