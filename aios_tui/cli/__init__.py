"""The command line. Each command is a file here, loaded when it is called: `--help` and headless use stay quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

from aios_tui.cli.exit_codes import BROKEN_PIPE, FAILED, INTERRUPTED, USAGE


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. 0 well, 1 failed, 2 usage, 130 interrupted; see docs/headless.md."""
    try:
        code = _run(arguments)
    except KeyboardInterrupt:  # while the command line itself was still loading
        code = INTERRUPTED
    left = _left_unwritten(sys.stdout)
    if isinstance(left, BrokenPipeError):
        code = BROKEN_PIPE
    elif left is not None:
        code = _unwritable(left)
    _left_unwritten(sys.stderr)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    import click

    from aios_tui.cli.output import OutputLost
    from aios_tui.cli.root import root
    from engine.errors import AiosError

    given = None if arguments is None else list(arguments)
    try:
        code = root.main(args=given, prog_name="aios-tui", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        code = INTERRUPTED
    except click.ClickException as error:
        _say(_one_line(error.format_message()))
        code = USAGE
    except AiosError as error:
        _say(_one_line(str(error)))
        code = USAGE
    except OutputLost as lost:
        _left_unwritten(sys.stdout)
        code = BROKEN_PIPE if lost.gone else _unwritable(lost.why)
    except Exception as error:  # noqa: BLE001  (the last resort: one line for the user, the rest for the log)
        left = _left_unwritten(sys.stdout) if isinstance(error, OSError) else None
        code = _unwritable(left) if left else _unexpected(error)
    return code if isinstance(code, int) else 0


def _one_line(text: str) -> str:
    from engine.sanitise import one_line

    return one_line(text, 1000)


def _say(text: str) -> None:
    """One line on stderr; a terminal that has gone is no reason to fail."""
    try:
        print(f"aios-tui: {text}", file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        return


def _left_unwritten(stream: TextIO | None) -> OSError | None:
    """Flush `stream`. Why that can't be done, None when it can; then nothing is tried again, at exit either."""
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as error:
        import os

        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)
        return error
    return None


def _unwritable(error: OSError) -> int:
    _say(f"standard output can't be written: {_one_line(error.strerror or str(error))}")
    return FAILED


def _unexpected(error: Exception) -> int:
    import logging

    from aios_tui.config import log_file, paths

    ready = any(handler.name == log_file.HANDLER for handler in logging.getLogger().handlers)
    kept = ready or log_file.set_up(paths.log_file(), "info") is None
    logging.getLogger("aios_tui").critical("unexpected error", exc_info=error)
    where = f"; the details are in {paths.log_file()}" if kept else ""
    _say(f"unexpected {_one_line(f'{type(error).__name__}: {error}')}{where}")
    return FAILED
