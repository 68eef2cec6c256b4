"""Access keys: looked up in the environment or a file, and kept out of everything that is shown, logged or stored.

A key comes from the environment, or from a TOML file of `NAME = "key"` lines that nobody else may read.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from engine.errors import UsageError
from engine.sanitise import one_line

FILE_NAME = "keys.toml"
"""Its name in the configuration folder."""

_FILE_CAP = 64 << 10
_WINDOW = 8  # characters of a key in a row that count as the key
_HIDDEN = "[key]"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}")


def find_key(name: str | None, *, environ: Mapping[str, str], file: Path | None) -> str | None:
    """Return the key called `name`: from the environment, else from `file`; None where neither has it.

    Raises UsageError, with one line that never holds the key: the file is readable by others, is not ours, is no TOML,
    or the key can be none.
    """
    if name is None:
        return None
    if environ.get(name, "").strip():
        return checked_key(environ[name], f"the variable {name}")
    if file is None:
        return None
    found = _read(file).get(name)
    if found is None:
        return None
    if not isinstance(found, str):
        raise UsageError(f'{file}: {name} is not a text; write {name} = "…"')
    return checked_key(found, f"{file}: {name}")


def checked_key(key: str, where: str) -> str:
    """Return the key without the spaces around it. Raises UsageError for text that is no key, such as two lines."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"{where} is not a key: it is empty, or has spaces or characters that no key has")
    return key


def redact(text: str, key: str | None) -> str:
    """Remove the key, whole or in part, from `text`: a server may repeat it in its error."""
    if not key:
        return text
    width = min(_WINDOW, len(key))
    windows = {key[start : start + width] for start in range(len(key) - width + 1)}
    hidden = bytearray(len(text))
    for start in range(len(text) - width + 1):
        if text[start : start + width] in windows:
            hidden[start : start + width] = b"\1" * width
    runs = groupby(zip(hidden, text, strict=True), key=itemgetter(0))
    return "".join(_HIDDEN if is_hidden else "".join(character for _, character in run) for is_hidden, run in runs)


def without_login(address: str) -> str:
    """Return a bad address for an error message: without user name, password and query, which may hold a key."""
    scheme, separator, rest = address.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        scheme, separator, rest = "", "", address
    host = re.split("[?#]", rest.rpartition("@")[2])[0]
    return f"{scheme}{separator}{host}"


def _read(file: Path) -> dict[str, object]:
    """Return the file's names and values; empty if there is no file."""
    try:
        with file.open("rb") as opened:
            _check_rights(file, os.fstat(opened.fileno()))
            content = opened.read(_FILE_CAP + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"cannot read the keys in {file}: {error.strerror or type(error).__name__}") from None
    if len(content) > _FILE_CAP:
        raise UsageError(f"{file} is larger than a file of keys can be ({_FILE_CAP >> 10} KiB)")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        # Only the position of the decoder's message: the rest may quote the file.
        position = one_line(str(error)).rpartition("(")[2].rstrip(")") if "(at " in str(error) else "not UTF-8"
        raise UsageError(f'{file} is not TOML ({position}); each line is NAME = "key"') from None


def _check_rights(file: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError(f"{file} holds keys and others may read it; run: chmod 600 {file}")
    if status.st_uid not in (os.getuid(), 0):
        raise UsageError(f"{file} holds keys and belongs to somebody else; make one of your own")
