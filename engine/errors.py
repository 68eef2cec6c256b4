"""Errors that reach a user, each as one clear line: what, where, what to do."""

from __future__ import annotations


class AiosError(Exception):
    """Anything that went wrong in a way that a user can act on. `str(error)` is one line."""


class UsageError(AiosError):
    """A bad option, file or setting: the caller's mistake (exit code 2 headless)."""


class CoreError(AiosError):
    """A core could not be reached, started or chosen."""


class StoreError(AiosError):
    """The history database could not be opened, read or written."""


class KernelClosed(AiosError):
    """The kernel is stopped and accepts nothing more."""
