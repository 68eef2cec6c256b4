"""Opening files that may be compressed, told by their first bytes; writing ones that are whole or absent."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from engine.errors import UsageError

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""Endings of the names of workload files."""


def _zstandard(path: Path) -> Any:
    """The optional package, imported only when a file asks for it."""
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise UsageError(f"{path}: zstd needs the package zstandard; install it, or use gzip") from None


@contextlib.contextmanager
def open_lines(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain, gzip or zstd file for reading by lines.

    Raises:
        UsageError: it can't be opened or read, or is damaged as a compressed file; from the `with` body too.
    """
    decoding: tuple[type[Exception], ...] = (gzip.BadGzipFile, zlib.error, EOFError)
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(path.open("rb"))
            magic = raw.peek(4)[:4]
            if magic.startswith(GZIP):
                yield stack.enter_context(io.BufferedReader(gzip.GzipFile(fileobj=raw)))
            elif magic == ZSTD:
                library = _zstandard(path)
                decoding = (*decoding, library.ZstdError)
                reader = stack.enter_context(library.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
                yield stack.enter_context(io.BufferedReader(reader))
            else:
                yield raw
    except decoding as error:
        raise UsageError(f"{path}: damaged or cut off as a compressed file: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None


@contextlib.contextmanager
def create(path: Path) -> Iterator[IO[bytes]]:
    """Write a new file, compressed when its name ends in .gz or .zst. It appears, whole, when the body ends well.

    Raises:
        UsageError: it can't be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    partial = Path(name)
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(os.fdopen(handle, "wb"))
            if path.suffix == ".gz":
                # No time and no name inside: one workload is one sequence of bytes.
                out: Any = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0))
            elif path.suffix in (".zst", ".zstd"):
                out = stack.enter_context(_zstandard(path).ZstdCompressor().stream_writer(raw, closefd=False))
            else:
                out = raw
            yield out
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
