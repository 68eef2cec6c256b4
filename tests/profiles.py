"""Effort of the property tests: `TEST_PROFILE` is `quick`, `default` or `thorough` (what CI runs)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SHARES = {"quick": 0.1, "default": 0.5, "thorough": 1.0}
_PROFILE = os.environ.get("TEST_PROFILE", "default")
_FEWEST = 10


def examples(thorough: int) -> int:
    """Return the number of examples to run of a test that runs `thorough` of them in CI; for `max_examples`."""
    return max(min(_FEWEST, thorough), round(thorough * _SHARES[_PROFILE]))


def load() -> None:
    """Make this the profile of every test without settings of its own."""
    # A slow machine is no failure: no time limit for an example.
    settings.register_profile(
        _PROFILE, max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile(_PROFILE)
