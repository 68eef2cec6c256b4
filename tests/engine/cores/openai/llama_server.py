"""llama.cpp's own HTTP server with the embedded weights: an OpenAI-compatible server that nobody here wrote.

`python -m tests.engine.cores.openai.llama_server KEY SLOTS` prints its base URL and ends when its input is closed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import PATIENCE_S

MODEL = "smollm2:135m"
_ROOT = Path(__file__).resolve().parents[4]


@contextmanager
def llama_server(key: str, slots: int = 2) -> Iterator[str]:
    """A running server in a process of its own; gives its base URL."""
    command = [sys.executable, "-m", "tests.engine.cores.openai.llama_server", key, str(slots)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "the server did not start"
            yield url
        finally:
            process.stdin.close()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def serve(key: str, slots: int) -> None:
    import xllamacpp

    from engine.cores.embedded import weights

    params = xllamacpp.CommonParams()
    params.model.path = str(weights.find())
    params.model_alias = {MODEL}
    params.api_keys = [key]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_threads_http = slots + 2
    params.ui = False
    params.n_ctx, params.n_parallel = 2048 * slots, slots
    params.n_batch = params.n_ubatch = 64
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    params.fit_params = params.warmup = False
    params.cache_ram_mib = 0
    params.verbosity = -1
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    server.handle_metrics()  # its loop runs, see engine/cores/embedded/loaded_model.py
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
