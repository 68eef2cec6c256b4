"""Run tasks and replays without the console."""
