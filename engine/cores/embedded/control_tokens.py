"""Text that cannot be read as the embedded model's control tokens.

llama.cpp reads a whole conversation, roles and words alike, as one text, and takes `<|im_start|>` in a prompt for the
token that begins a turn: a prompt, a file or a client could so put words into the system's or the model's own mouth.
These are all tokens of the type CONTROL in the weights' `tokenizer.ggml.tokens`; the tests compare them with the file.
"""

from __future__ import annotations

import re

CONTROL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>",
    "<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>",
    "<jupyter_code>", "<jupyter_output>", "<jupyter_script>", "<empty_output>",
)  # fmt: skip

_CONTROL = re.compile("<(?=" + "|".join(re.escape(token[1:]) for token in CONTROL_TOKENS) + ")")


def as_words(text: str) -> str:
    """Return `text` with a space behind the `<` of each control token: the same words, but no token. Idempotent."""
    return _CONTROL.sub("< ", text)
