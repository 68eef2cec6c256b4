"""Paths of the program's files, by the platform's rules (XDG folders on Linux). Creates nothing."""

from __future__ import annotations

from pathlib import Path

import platformdirs

APP = "aios-tui"


def config_folder() -> Path:
    """Folder of settings, agents and themes."""
    return platformdirs.user_config_path(APP, appauthor=False)


def data_folder() -> Path:
    """Folder of the history, workloads, benchmarks and downloaded weights."""
    return platformdirs.user_data_path(APP, appauthor=False)


def state_folder() -> Path:
    """Folder of what the console remembers between runs."""
    return platformdirs.user_state_path(APP, appauthor=False)


def log_file() -> Path:
    """The log; older ones are beside it with a number after their name."""
    return platformdirs.user_log_path(APP, appauthor=False) / "aios-tui.log"


def default_config() -> Path:
    return config_folder() / "config.toml"


def bench_file() -> Path:
    """Results of `bench`."""
    return data_folder() / "bench.json"


def keys_file() -> Path:
    """Access keys of cores that are not in the environment."""
    return config_folder() / "keys.toml"


def default_database() -> Path:
    return data_folder() / "history.sqlite3"
