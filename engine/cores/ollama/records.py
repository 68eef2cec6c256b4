"""Between the port's words and those of Ollama's requests and records."""

from __future__ import annotations

from typing import Literal

import ollama

from engine.cores.port import Chunk, Usage
from engine.model import GenerationOptions
from engine.text import sanitise


def options(options: GenerationOptions) -> dict[str, int | float]:
    """Ollama's names for them; what is None is left to the server."""
    named = {
        "num_predict": options.max_tokens,
        "temperature": options.temperature,
        "seed": options.seed,
        "num_ctx": options.num_ctx,
    }
    return {name: value for name, value in named.items() if value is not None}


def chunks(message: ollama.Message) -> list[Chunk]:
    """The texts of one record. Ollama sends a record a token."""
    texts: tuple[tuple[Literal["thinking", "text"], str | None], ...]
    texts = (("thinking", message.thinking), ("text", message.content))
    return [Chunk(kind, sanitise(text.replace("\r", ""))) for kind, text in texts if text]


def usage(last: ollama.ChatResponse) -> Usage:
    """The final record's statistics, in seconds. The server leaves zero values out, and cached prompts too."""
    return Usage(
        tokens_in=_count(last.prompt_eval_count),
        tokens_out=_count(last.eval_count),
        load_s=_count(last.load_duration) / 1e9,
        prefill_s=_count(last.prompt_eval_duration) / 1e9,
        decode_s=_count(last.eval_duration) / 1e9,
    )


def _count(value: int | None) -> int:
    return min(max(value or 0, 0), 1 << 53)
