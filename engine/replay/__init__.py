"""Replays of workloads, live and in virtual time, and the metrics of both."""
