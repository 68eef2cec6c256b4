"""What a user types, as an FTS5 expression that can't be anything but words."""

from __future__ import annotations

from engine.text import sanitise

MAX_CHARS, MAX_WORDS = 1000, 32


def match_expression(text: str) -> str | None:
    """All words of `text`, each a quoted phrase, the last one as a prefix; None when there is no word in it.

    Grammar: https://www.sqlite.org/fts5.html#full_text_query_syntax. Inside double quotes only `"` is special.
    """
    words = [word for word in sanitise(text[:MAX_CHARS]).split() if any(char.isalnum() for char in word)][:MAX_WORDS]
    if not words:
        return None
    quoted = ['"' + word.replace('"', '""') + '"' for word in words]
    return " AND ".join(quoted) + " *"
