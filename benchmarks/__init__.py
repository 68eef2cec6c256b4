"""Repeatable measurements, run by hand: `python -m benchmarks.NAME`. Never asserted as time limits."""
