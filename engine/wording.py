"""Counts and suggestions as English text, worded the same in every message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_COMPARED = 200
"""Characters of a wrong word that are compared: the comparison takes quadratic time, and the word is untrusted."""


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 task`, `1,204 tasks`. `nouns` is the plural where it is not `noun` with an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def nearest(word: str, known: Iterable[str], *, most: int = 3, cutoff: float = 0.5) -> list[str]:
    """The names in `known` most like `word`, best first; at most `most`.

    `cutoff` is the least similarity, 0 to 1 (Ratcliff and Obershelp, as `difflib` computes it).
    """
    return difflib.get_close_matches(word[:MAX_COMPARED], list(known), n=most, cutoff=cutoff)


def did_you_mean(word: str, known: Iterable[str], *, most: int = 3, cutoff: float = 0.5, listed: int = 10) -> str:
    """`did you mean a or b?`; where nothing is alike, `known: a, b, c`, the first `listed` names; "" with no names."""
    names = sorted(known)
    near = nearest(word, names, most=most, cutoff=cutoff)
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = " …" if len(names) > listed else ""
    return f"known: {', '.join(names[:listed])}{more}" if names else ""
