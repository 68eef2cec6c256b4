"""The loaded model: a thin, synchronous wrapper around xllamacpp's server, with its traps covered.

Measured with xllamacpp 2026.10.11549 on two cores: without `fit_params` a load takes 0.3 s in place of 0.7 s, and it
holds Python's global lock all the while. Batches of 64 read a prompt as fast as batches of 128 and halve the time to
a cancel, about half a second, since the model looks up only between batches.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from engine.cores.embedded.prefill_queue import PrefillQueue
from engine.cores.embedded.weights import FETCH_COMMAND
from engine.errors import CoreError
from engine.sanitise import one_line

ENGINE = "xllamacpp"
BATCH_TOKENS = 64
INSTALL_COMMAND = "pip install xllamacpp"

_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 104 on macOS, 108 on Linux


def engine_missing() -> str | None:
    """Return the reason why there is no engine, in one line, or None. Imports nothing."""
    return None if find_spec(ENGINE) else f"the embedded engine is not installed; run `{INSTALL_COMMAND}`"


def engine_version() -> str:
    """Return the engine's name and version, such as `xllamacpp 2026.10.11549`; empty without it."""
    try:
        return f"{ENGINE} {version(ENGINE)}"
    except PackageNotFoundError:
        return ""


class LoadedModel:
    """Weights in memory, ready to generate in `slots` threads at once. Made, used and closed off the event loop.

    Attributes:
        prefill_queue: a generation acquires it before its prompt is read, and releases it afterwards.
        address: the address on which the engine listens for HTTP, see below.
        resident: bytes of memory that loading took: the process's resident size after it, less that before.
    """

    def __init__(self, path: Path, *, slots: int, n_ctx: int, threads: int) -> None:
        """Load. `n_ctx` is the context of each slot, in tokens.

        Raises:
            CoreError: the engine is missing or broken, or will not load the file.
        """
        xllamacpp = _import_engine()
        self.prefill_queue = PrefillQueue()
        params = xllamacpp.CommonParams()
        params.model.path = os.fspath(path)
        params.api_keys = [secrets.token_urlsafe(32)]
        params.port = 0
        params.n_threads_http = 1
        params.ui = params.endpoint_slots = params.endpoint_props = False
        params.endpoint_metrics = True  # for `handle_metrics` below
        params.n_ctx = n_ctx * slots
        params.n_parallel = slots
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_gpu_layers = 0
        params.fit_params = params.warmup = False
        params.cache_ram_mib = 0  # by default up to 8 GiB of old prompts
        params.verbosity = -1
        before = psutil.Process().memory_info().rss
        # The engine always listens for HTTP, and nobody may reach it: on a Unix socket in a private folder, which is
        # deleted once it listens; without such sockets, on the loopback with a secret random key.
        with TemporaryDirectory(prefix="aios-tui-") as folder:
            params.hostnames = [_address(Path(folder))]
            try:
                self._server: Any = xllamacpp.Server(params)
            except Exception as error:
                why = one_line(str(error), 200)
                raise CoreError(f"cannot load the weights {path} ({why}); run `{FETCH_COMMAND}`") from error
        # The engine's loop starts some time after the constructor has returned, and misses an end before that: closing
        # would then wait for ever, holding Python's lock. Any answer shows that the loop runs.
        self._server.handle_metrics()
        self.resident = max(0, psutil.Process().memory_info().rss - before)
        self.address: str = self._server.listening_address

    def generate(self, request: dict[str, Any], on_chunk: Callable[[dict[str, Any]], bool]) -> None:
        """Generate, and block until the end. `on_chunk` is called in this thread; it returns True to stop.

        An exception in `on_chunk` would be swallowed: it must not raise. Never call after or during `close`.
        """
        self._server.handle_chat_completions(request, on_chunk)

    def close(self) -> None:
        """Free the memory and the listener. No thread may be in `generate`."""
        self._server = None  # its destructor ends the engine's threads


def _address(folder: Path) -> str:
    socket_path = folder / "s.sock"
    if os.name == "posix" and len(os.fsencode(socket_path)) <= _LONGEST_SOCKET_PATH:
        return str(socket_path)
    return "127.0.0.1"


def _import_engine() -> Any:
    if reason := engine_missing():
        raise CoreError(reason)
    try:
        import xllamacpp
    except ImportError as error:
        if "libgomp" in str(error):
            raise CoreError("the embedded engine needs the library libgomp; run `apt install libgomp1`") from error
        raise CoreError(f"the embedded engine cannot be imported: {one_line(str(error), 200)}") from error
    return xllamacpp
