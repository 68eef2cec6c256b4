"""Replaying workloads: in virtual time, and what is measured of a replay however it was run."""
