"""Presets: the addresses and peculiarities of providers and servers of OpenAI's protocol, from `presets.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Option = Literal["temperature", "seed", "top_p", "stop", "response_format", "tools"]
Extension = Literal["top_k", "min_p", "repeat_penalty"]
Think = Literal["", "reasoning_effort", "chat_template_kwargs", "thinking", "groq"]


class Quirks(BaseModel):
    """A server's differences from the protocol. The defaults are for a server of unknown kind.

    Attributes:
        token_limit: the name of the limit of a reply's tokens. stream_options: takes `{"include_usage": true}`.
        progress: reports how much of a prompt it has read, when asked (llama.cpp).
        lists_models: has `/models`. ignores_model: answers to any model's name, so names are checked here.
        keeps_loaded: what it lists is in memory. model_prefix: left out of listed names.
        not_chat: patterns (fnmatch) of listed names that cannot answer a prompt.
        picks_first: without a default model, the first one listed answers.
        raw: has `/completions`. unsupported: options that it refuses or ignores; see `requests.lacking_options`.
        extensions: its names for options that the protocol does not have.
        json_schema: takes a JSON schema as format, else only JSON as such.
        think: its way of being asked to think; empty: none is known. thinking: the fields of a chunk with its thoughts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # noqa: S105  (tokens of text)
    stream_options: bool = True
    progress: bool = False
    lists_models: bool = True
    ignores_model: bool = True
    keeps_loaded: bool = False
    model_prefix: str = ""
    not_chat: tuple[str, ...] = ()
    picks_first: bool = True
    raw: bool = True
    unsupported: frozenset[Option] = frozenset()
    extensions: Mapping[Extension, str] = Field(default_factory=dict)
    json_schema: bool = True
    think: Think = ""
    thinking: tuple[Literal["reasoning_content", "reasoning"], ...] = ("reasoning_content", "reasoning")


class Preset(BaseModel):
    """A provider or server by name.

    Attributes:
        base_url: the URL below which `/chat/completions` is. key_env: the variable that holds the key, None for none.
        default_model: the model for tasks that name none. slots: requests at a time.
        source: the URL of its documentation. tried_live: somebody of us ran a task on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
    title: str
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    default_model: str | None = None
    slots: Annotated[int, Field(ge=1, le=256)] = 4
    hosted: bool
    quirks: Quirks = Quirks()
    source: str
    tried_live: bool = False


@cache
def load_presets() -> Mapping[str, Preset]:
    """Return the presets by name, in the order of their file."""
    text = files("engine.cores.openai").joinpath("presets.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: _preset(name, fields) for name, fields in tomllib.loads(text).items()})


def _preset(name: str, fields: dict[str, Any]) -> Preset:
    """Return a preset. A provider knows its models' names, and the first one it lists may be its dearest."""
    own = not fields["hosted"]
    return Preset(
        name=name, **fields | {"quirks": {"ignores_model": own, "picks_first": own} | fields.get("quirks", {})}
    )
