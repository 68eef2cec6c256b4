"""Workload files on disk and their calibration."""
