"""A child process whose output is read by lines first and to its end later, without a loss."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from tests.waiting import PATIENCE_S


class TextProcess(subprocess.Popen[str]):
    """`Popen` with a `communicate` that also returns what a reader by lines has left in the streams' buffers.

    Popen's own reads the pipes beneath the buffers. On a busy machine a reader that lags has several lines in the
    buffer: those would be lost, and the first line after them would lack its beginning.
    """

    def communicate(self, input: str | None = None, timeout: float | None = PATIENCE_S) -> tuple[str, str]:
        """Write `input`, and return the rest of stdout and stderr, each empty if it is no pipe.

        Raises:
            subprocess.TimeoutExpired: the process has not closed them, and ended, within `timeout` seconds.
        """

        def rest(stream: IO[str] | None) -> str:
            return "" if stream is None or stream.closed else stream.read()

        pool = ThreadPoolExecutor(max_workers=3)
        try:
            found = [pool.submit(rest, stream) for stream in (self.stdout, self.stderr)]
            if self.stdin is not None and not self.stdin.closed:
                pool.submit(self._write, input or "")
            out, err = (future.result(timeout) for future in found)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
        finally:
            pool.shutdown(wait=False)
        self.wait(timeout)
        return out, err

    def _write(self, text: str) -> None:
        assert self.stdin is not None
        try:
            self.stdin.write(text)
            self.stdin.close()
        except BrokenPipeError:
            pass  # it left without reading, as Popen allows, too
