"""Exit codes, the same for all commands."""

WELL = 0
FAILED = 1
"""Some tasks failed or were cancelled; `doctor` found something broken; an unexpected error."""
USAGE = 2
"""Nothing was done: a bad option, file or setting, a history in use, a core that could not be started."""
INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141
