"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A slow machine is no failure: no time limit an example.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
