"""Errors that reach a user. Each is one line that says what is wrong, where, and what to do."""

from __future__ import annotations


class AiosError(Exception):
    """An error that a user can act on. `str(error)` is one line."""


class UsageError(AiosError):
    """An invalid option, file or setting (exit code 2 on the command line)."""


class CoreError(AiosError):
    """A core could not be reached, started or chosen."""


class StoreError(AiosError):
    """The history database could not be opened, read or written."""


class KernelClosed(AiosError):
    """The kernel is stopped and accepts no tasks."""
