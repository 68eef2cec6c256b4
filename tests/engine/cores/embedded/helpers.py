"""The metadata of a GGUF file, as far as the tests ask for it.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3, little-endian.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

CONTROL = 3
"""The token type of tokens that steer, in `tokenizer.ggml.token_type`; ordinary ones are 1."""

_SIMPLE = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def metadata(path: Path) -> dict[str, Any]:
    """Every key with its value; strings that are no UTF-8, as parts of characters are, come with replacements."""
    with path.open("rb") as file:
        assert file.read(4) == b"GGUF"
        assert _number(file, "I") == 3
        _number(file, "Q")  # tensors
        return {_string(file): _value(file, _number(file, "I")) for _ in range(_number(file, "Q"))}


def _number(file: BinaryIO, kind: str) -> Any:
    return struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))[0]


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "Q")).decode(errors="replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        of = _number(file, "I")
        return [_value(file, of) for _ in range(_number(file, "Q"))]
    return _number(file, _SIMPLE[kind])
