"""An attempt as the embedded engine's request: the body of an OpenAI chat completion, with llama.cpp's own fields."""

from __future__ import annotations

from typing import Any

from engine.cores.embedded.control_tokens import as_words
from engine.cores.options import messages_of
from engine.cores.port import Attempt
from engine.cores.response_format import response_format

DEFAULT_TEMPERATURE = 0.2
DEFAULT_MAX_TOKENS = 512
# So small a model falls into loops that only the token limit ends; measured: this stops most of them.
DEFAULT_REPEAT_PENALTY = 1.15
_REPEAT_LAST_N = 256  # tokens that the penalty looks back

_SEEDS = 2**32 - 1  # the engine's seeds are 32 bits, and the highest one means "any"


def lacking_options(attempt: Attempt, n_ctx: int) -> dict[str, str]:
    """Return the options that the embedded core cannot honour, each with the reason, for `OptionCheck.admit`."""
    lacking = {
        "num_ctx": f"its context is fixed at {n_ctx} tokens",
        "keep_alive": "its model stays in memory while the core runs",
        "tools": "its model cannot call tools",
    }
    if attempt.options.think:
        lacking["think"] = "its model does not think"
    if attempt.options.endpoint == "raw":
        lacking["endpoint"] = "it takes no raw prompts"
    return lacking


def request_of(attempt: Attempt, slot_index: int) -> dict[str, Any]:
    """Return the request for an attempt that `OptionCheck.admit` has let through."""
    options = attempt.options
    wanted: dict[str, Any] = {
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "repeat_penalty": options.repeat_penalty,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "min_p": options.min_p,
        "stop": list(options.stop) if options.stop else None,
        "seed": None if options.seed is None else options.seed % _SEEDS,
        "response_format": None if options.format is None else response_format(options.format),
    }
    return {
        "messages": [{"role": each.role, "content": as_words(each.content)} for each in messages_of(attempt)],
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "id_slot": slot_index,
        "max_tokens": DEFAULT_MAX_TOKENS,
        "temperature": DEFAULT_TEMPERATURE,
        "repeat_penalty": DEFAULT_REPEAT_PENALTY,
        "repeat_last_n": _REPEAT_LAST_N,
        **{name: value for name, value in wanted.items() if value is not None},
    }
