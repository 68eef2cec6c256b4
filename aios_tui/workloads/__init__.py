"""Workload files on disk, their calibration and simulation."""
