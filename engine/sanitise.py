"""The only sanitiser. All text of models, files and clients passes it before it is stored or shown."""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd"

# C0 without newline and tab, DEL, C1, bidirectional controls, byte-order mark, tag characters, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def sanitise(text: str) -> str:
    """Return `text` with every character that could steer a terminal or break storage replaced by U+FFFD.

    Works character by character, so it may be applied to a stream chunk by chunk; applying it twice changes nothing.
    """
    return _UNSAFE.sub(REPLACEMENT, text)


def one_line(text: str, limit: int = 500) -> str:
    """Return `text` sanitised, on one line, white space folded, cut to `limit` characters with an ellipsis."""
    folded = " ".join(sanitise(text[: limit * 4]).split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"


def describe_error(error: BaseException) -> str:
    """The type and message of an error on one line; the type alone if it has no message or can't format it."""
    try:
        message = one_line(str(error))
    except Exception:  # noqa: BLE001  (a broken __str__ must not hide the error)
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
