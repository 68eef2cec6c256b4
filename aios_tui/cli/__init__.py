"""The command line. A command's module is imported when it is called, which keeps `--help` and headless use fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

from aios_tui.cli.exit_codes import BROKEN_PIPE, FAILED, INTERRUPTED, USAGE, CommandFailed


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with one of the codes of `exit_codes`."""
    try:
        code = _run(arguments)
    except KeyboardInterrupt:  # while the command line itself was still loading
        code = INTERRUPTED
    failure = _flush(sys.stdout)
    if isinstance(failure, BrokenPipeError):
        code = BROKEN_PIPE
    elif failure is not None:
        code = _report_unwritable(failure)
    _flush(sys.stderr)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    import click

    from aios_tui.cli.output import OutputLost
    from aios_tui.cli.root import root
    from engine.errors import AiosError

    try:
        code = root.main(
            args=None if arguments is None else list(arguments), prog_name="aios-tui", standalone_mode=False
        )
    except (KeyboardInterrupt, click.Abort):
        _print_error("interrupted")
        code = INTERRUPTED
    except click.ClickException as error:
        _print_error(error.format_message())
        code = USAGE
    except AiosError as error:
        _print_error(str(error))
        code = FAILED if isinstance(error, CommandFailed) else USAGE
    except OutputLost as lost:
        _flush(sys.stdout)
        code = BROKEN_PIPE if lost.closed else _report_unwritable(lost.cause)
    except Exception as error:  # noqa: BLE001  (the last resort: one line for the user, the rest for the log)
        failure = _flush(sys.stdout) if isinstance(error, OSError) else None
        code = _report_unwritable(failure) if failure else _report_unexpected(error)
    return code if isinstance(code, int) else 0


def _print_error(text: str) -> None:
    from aios_tui.cli.output import print_error

    print_error(text)


def _flush(stream: TextIO | None) -> OSError | None:
    """Flush `stream`. On failure return the error, and discard the rest, so that nothing fails again at exit."""
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


def _report_unwritable(error: OSError) -> int:
    _print_error(f"standard output can't be written: {error.strerror or error}")
    return FAILED


def _report_unexpected(error: Exception) -> int:
    import logging

    from aios_tui.config import log_file, paths

    ready = any(handler.name == log_file.HANDLER for handler in logging.getLogger().handlers)
    logged = ready or log_file.set_up(paths.log_file(), "info") is None
    logging.getLogger("aios_tui").critical("unexpected error", exc_info=error)
    details = f"; the details are in {paths.log_file()}" if logged else ""
    _print_error(f"unexpected {type(error).__name__}: {error}{details}")
    return FAILED
