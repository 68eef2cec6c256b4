"""Read plain, gzip and zstd files, recognised by their first bytes; write them whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from engine.errors import UsageError
from engine.files import atomic_writer, file_error

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""Endings of the names of workload files."""


def _zstandard(path: Path) -> Any:
    """Import the optional package; raises UsageError when it is missing."""
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        raise UsageError(f"{path}: zstd needs the package zstandard; install it, or use gzip") from None


@contextlib.contextmanager
def open_lines(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain, gzip or zstd file for reading by lines.

    Raises:
        UsageError: it can't be opened or read, or its compressed data is damaged; raised in the `with` body too.
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
        raise UsageError(f"{path}: {file_error(error)}") from None


@contextlib.contextmanager
def create(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing, compressed when its name ends in .gz or .zst. It appears when the body succeeds.

    Raises:
        UsageError: it can't be written.
    """
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(atomic_writer(path))
            if path.suffix == ".gz":
                # No time and no name inside: the same workload gives the same bytes.
                out: Any = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0))
            elif path.suffix in (".zst", ".zstd"):
                out = stack.enter_context(_zstandard(path).ZstdCompressor().stream_writer(raw, closefd=False))
            else:
                out = raw
            yield out
    except OSError as error:
        raise UsageError(f"{path}: {file_error(error)}") from None
