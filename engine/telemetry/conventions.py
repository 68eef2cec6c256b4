"""What exporters measure of an attempt, and how they name it, in one place for all of them."""

from __future__ import annotations

from engine.events import AttemptEnded
from engine.sanitise import one_line
from engine.task import AttemptState

LOAD_S = 0.1
"""A core that says it loaded for less had the model in memory: servers report some milliseconds for that, too."""
DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TTFT_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TPOT_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""The four are the boundaries that OpenTelemetry's GenAI conventions recommend, in seconds and tokens.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
"""


OTHER, UNKNOWN = "other", "unknown"
MAX_NAMES = 50
"""How many agents, cores and models get series of their own; further ones are counted together as `other`."""


class Names:
    """Label values in a bounded number: the first `limit` names are themselves, any other is `other`."""

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


def time_per_output_token(ended: AttemptEnded) -> float | None:
    """Seconds for each token after the first, from the first one to the attempt's end; None without two tokens."""
    tokens = ended.usage.tokens_out
    if ended.state is not AttemptState.DONE or ended.ttft_s is None or tokens < 2:
        return None
    return max(0.0, ended.service_s - ended.ttft_s) / (tokens - 1)
