"""A core as the settings file describes it: one table `[cores.NAME]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.cores.ollama.address import parse_address
from engine.errors import UsageError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.cores.openai.presets import Preset

_OWN = ("ollama", "embedded", "scripted", "openai")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
# Keys have small letters in them (gsk_…, hf_…, AIza…); written here by mistake they would be shown as a name.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_SERVERS = ("ollama", "openai")
_ONLY_FOR = {
    "url": _SERVERS,
    "model": (*_SERVERS, "scripted"),
    "one_model": ("ollama",),
    "key_env": ("openai",),
    "key_file": ("openai",),
    "priority": ("openai",),
    "script": ("scripted",),
}
"""Keys that not every kind of core has; a preset has those of `openai`."""


def kinds() -> tuple[str, ...]:
    """Every kind of core: those of our own, then the presets."""
    from engine.cores.openai.presets import load_presets

    return (*_OWN, *(name for name in load_presets() if name not in _OWN))


def is_kind(value: str) -> bool:
    return value in _OWN or value in kinds()


def core_name(value: str) -> str:
    """`value`, when a core may be called that. Raises ValueError."""
    if value == "auto" or not _NAME.fullmatch(value):
        raise ValueError("a core's name is up to 32 letters, digits, '.', '_' and '-', and not auto")
    return value


def _kind(value: str) -> str:
    if not is_kind(value):
        raise ValueError(f"'{one_line(value, 60)}' is no kind of core; there are {', '.join(kinds())}")
    return value


def _path(value: Any) -> Any:
    if value == "":
        raise ValueError("the path is empty")
    return Path(value).expanduser() if isinstance(value, str) else value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(
            "that is not the name of an environment variable, in capitals; the key itself is not written here"
        )
    return value


class CoreConfig(BaseModel):
    """One core. What is left out is the core's own default.

    Attributes:
        kind: `ollama`, `openai` (whatever speaks OpenAI's protocol), `embedded`, `scripted`, or the name of a preset.
        url: where its server is; without it the preset's, of an Ollama where `OLLAMA_HOST` says, or on this machine.
        slots: how many attempts it is given at a time. model: what answers when a task names none.
        one_model: its GPU holds one model at a time, so another one means a swap.
        key_env: the name of its access key, in the environment or in the file of keys; a preset has its own.
        key_file: that file. priority: pass each task's priority on to the server.
        script: of a scripted core, what else follows `scripted:`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Annotated[str, AfterValidator(_kind)]
    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    slots: Annotated[int, Field(ge=1, le=256)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    one_model: bool = False
    key_env: Annotated[str, AfterValidator(_variable)] | None = None
    key_file: Annotated[Path, BeforeValidator(_path)] | None = None
    priority: bool = False
    script: str | None = None

    @property
    def family(self) -> str:
        """The kind, `openai` for every preset."""
        return self.kind if self.kind in _OWN else "openai"

    @property
    def preset(self) -> Preset | None:
        """What is known of its server beforehand; None for one of another family, or just any that speaks OpenAI's."""
        if self.family != "openai" or (self.kind == "openai" and self.url is not None):
            return None
        from engine.cores.openai.presets import load_presets

        return load_presets()[self.kind]

    @model_validator(mode="after")
    def _fits(self) -> CoreConfig:
        for key in sorted(self.model_fields_set):
            families = _ONLY_FOR.get(key)
            if families is not None and self.family not in families and getattr(self, key):
                raise ValueError(f"a core of the kind {self.kind} has no {key}")
        try:
            if self.family == "ollama":
                parse_address(self.url)
            elif self.family == "openai" and self.url is not None:
                from engine.cores.openai.address import parse_base_url

                parse_base_url(self.url)
            elif self.family == "scripted":
                from engine.cores.scripted import ScriptedCore

                ScriptedCore.parse(self.script or "")
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self


CoreConfigs = dict[Annotated[str, AfterValidator(core_name)], CoreConfig]
"""The settings' tables of cores, by name."""
