"""Parse search input so that it can only be words, never FTS5 operators."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.sanitise import sanitise

MAX_CHARS, MAX_WORDS = 1000, 32

# Scripts written without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han. The index takes a whole run of
# such characters for one word, so these words are searched as parts of the text instead.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)


@dataclass(frozen=True, slots=True)
class Search:
    """`expression` is for FTS5's MATCH, None if no word is indexed; all `parts` must occur in the text."""

    expression: str | None
    parts: tuple[str, ...]


def parse(text: str) -> Search | None:
    """All words of `text`, each a quoted phrase, the last one as a prefix; None if there is no word in it.

    Grammar: https://www.sqlite.org/fts5.html#full_text_query_syntax. Inside double quotes only `"` is special.
    """
    words = [word for word in sanitise(text[:MAX_CHARS]).split() if any(char.isalnum() for char in word)][:MAX_WORDS]
    if not words:
        return None
    indexed = [word for word in words if not _UNSPACED.search(word)]
    quoted = ['"' + word.replace('"', '""') + '"' for word in indexed]
    prefix = " *" if words[-1:] == indexed[-1:] else ""
    return Search(
        " AND ".join(quoted) + prefix if quoted else None, tuple(word for word in words if _UNSPACED.search(word))
    )
