"""Where files live, by the platform's rules (on Linux the XDG folders). Nothing here creates anything."""

from __future__ import annotations

from pathlib import Path

import platformdirs

APP = "aios-tui"


def config_folder() -> Path:
    """Settings, the user's agents and themes."""
    return platformdirs.user_config_path(APP, appauthor=False)


def data_folder() -> Path:
    """The history, and weights that were fetched."""
    return platformdirs.user_data_path(APP, appauthor=False)


def state_folder() -> Path:
    """What the console remembers between two runs."""
    return platformdirs.user_state_path(APP, appauthor=False)


def log_file() -> Path:
    """The log; older ones lie beside it with a number behind their name."""
    return platformdirs.user_log_path(APP, appauthor=False) / "aios-tui.log"


def default_config() -> Path:
    return config_folder() / "config.toml"


def bench_file() -> Path:
    """What `bench` measured."""
    return data_folder() / "bench.json"


def keys_file() -> Path:
    """Access keys of cores, for those who don't put them into the environment."""
    return config_folder() / "keys.toml"


def default_database() -> Path:
    return data_folder() / "history.sqlite3"
