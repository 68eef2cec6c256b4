"""Numbers, durations and model names as text."""
