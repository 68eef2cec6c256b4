"""Run tasks, replays and benchmarks without the console."""
