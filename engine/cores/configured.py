"""A core as the settings file describes it: one table `[cores.NAME]`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from engine.cores.ollama.address import parse_address
from engine.errors import UsageError
from engine.text import one_line

KINDS = ("ollama", "embedded", "scripted")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_ONLY_FOR = {
    "url": ("ollama",),
    "one_model": ("ollama",),
    "script": ("scripted",),
}
"""Keys that not every kind of core has."""


def core_name(value: str) -> str:
    """`value`, when a core may be called that. Raises ValueError."""
    if value == "auto" or not _NAME.fullmatch(value):
        raise ValueError("a core's name is up to 32 letters, digits, '.', '_' and '-', and not auto")
    return value


def _kind(value: str) -> str:
    if value not in KINDS:
        raise ValueError(f"'{one_line(value, 60)}' is no kind of core; there are {', '.join(KINDS)}")
    return value


class CoreConfig(BaseModel):
    """One core. What is left out is the core's own default.

    Attributes:
        kind: one of KINDS. url: where its server is; without it where `OLLAMA_HOST` says, or on this machine.
        slots: how many attempts it is given at a time. model: what answers when a task names none.
        one_model: its GPU holds one model at a time, so another one means a swap.
        script: of a scripted core, what else follows `scripted:`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Annotated[str, AfterValidator(_kind)]
    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    slots: Annotated[int, Field(ge=1, le=256)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    one_model: bool = False
    script: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> CoreConfig:
        for key in sorted(self.model_fields_set):
            kinds = _ONLY_FOR.get(key)
            if kinds is not None and self.kind not in kinds and getattr(self, key):
                raise ValueError(f"a core of the kind {self.kind} has no {key}")
        try:
            if self.kind == "ollama":
                parse_address(self.url)
            elif self.kind == "scripted":
                from engine.cores.scripted import ScriptedCore

                ScriptedCore.parse(self.script or "")
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self


CoreConfigs = dict[Annotated[str, AfterValidator(core_name)], CoreConfig]
"""The settings' tables of cores, by name."""
