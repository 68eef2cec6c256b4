"""The exit codes of all commands; docs/headless.md has the same table.

A mistake has one code in every command. 2 means that the command line, a file or a setting is wrong, or that the
command could not begin: nothing was done. 1 means that the command began and failed, wholly or in part: a task, run or
model that was named does not exist, the service or a server refused, or a task failed.
"""

from __future__ import annotations

from engine.errors import AiosError

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""Interrupted by SIGINT, as shells report it: 128 + 2."""
BROKEN_PIPE = 141
"""The reader of standard output has closed it: 128 + SIGPIPE."""
TERMINATED = 143
"""Stopped by SIGTERM: 128 + 15."""


class CommandFailed(AiosError):
    """The command began and failed: exit code 1, and the message as one line on stderr."""
