"""A core as the settings file describes it: one table `[cores.NAME]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from engine.cores.addresses import Address
from engine.cores.ollama.address import parse_address
from engine.cores.plugins import OWN_KINDS, builtin_kinds, plugin_kinds, plugin_problems
from engine.errors import UsageError
from engine.sanitise import one_line

if TYPE_CHECKING:
    from engine.cores.openai.presets import Preset

_PLUGIN = "plugin"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
# Keys have small letters in them (gsk_…, hf_…, AIza…); written here by mistake they would be shown as a name.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_SERVERS = ("ollama", "openai")
_ONLY_FOR = {
    "url": (*_SERVERS, _PLUGIN),
    "model": (*_SERVERS, "scripted", _PLUGIN),
    "one_model": ("ollama",),
    "key_env": ("openai", _PLUGIN),
    "key_file": ("openai", _PLUGIN),
    "priority": ("openai",),
    "script": ("scripted",),
    "options": (_PLUGIN,),
}
"""Keys that not every kind of core has; a preset has those of `openai`."""


def kinds() -> tuple[str, ...]:
    """Return every kind of core: the built-in ones, then those of plug-ins."""
    return (*builtin_kinds(), *plugin_kinds())


def is_kind(value: str) -> bool:
    return value in OWN_KINDS or value in builtin_kinds() or value in kinds()


def core_name(value: str) -> str:
    """Return `value` if a core may have that name. Raises ValueError."""
    if value == "auto" or not _NAME.fullmatch(value):
        raise ValueError("a core's name is up to 32 letters, digits, '.', '_' and '-', and not auto")
    return value


def _kind(value: str) -> str:
    if not is_kind(value):
        why = plugin_problems().get(value) or f"there are {', '.join(kinds())}"
        raise ValueError(f"'{one_line(value, 60)}' is no kind of core; {why}")
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
    """One core. A key that is left out is the core's own default.

    Attributes:
        kind: `ollama`, `openai` (any server of OpenAI's protocol), `embedded`, `scripted`, the name of a preset, or a
            plug-in's kind.
        url: the server's address; without it the preset's, and for Ollama `OLLAMA_HOST`, else this machine.
        slots: the number of attempts it gets at a time. model: the model for tasks that name none.
        one_model: its GPU holds one model at a time, so another one means a swap.
        key_env: the name of its access key, in the environment or in the file of keys; a preset has its own.
        key_file: that file. priority: pass each task's priority on to the server.
        script: the options of a scripted core, as after `scripted:`. options: a plug-in's own settings.
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
    options: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def family(self) -> str:
        """The kind; `openai` for every preset, `plugin` for every plug-in."""
        if self.kind in OWN_KINDS:
            return self.kind
        return "openai" if self.kind in builtin_kinds() else _PLUGIN

    @property
    def preset(self) -> Preset | None:
        """The preset of its kind; None for another family, and for `openai` with a `url`."""
        if self.family != "openai" or (self.kind == "openai" and self.url is not None):
            return None
        from engine.cores.openai.presets import load_presets

        return load_presets()[self.kind]

    @property
    def key_name(self) -> str | None:
        """The name of its access key: its own, else its preset's; None if it needs none."""
        return self.key_env or (self.preset.key_env if self.preset else None)

    def server(self) -> Address | None:
        """Return its server's address: its own, else the usual one; None for other cores. Raises UsageError."""
        if self.family == "ollama":
            return parse_address(self.url)
        if self.family != "openai":
            return None
        from engine.cores.openai.address import parse_base_url

        return parse_base_url(self.url or (self.preset.base_url if self.preset else ""))

    @model_validator(mode="after")
    def _fits(self) -> CoreConfig:
        for key in sorted(self.model_fields_set):
            families = _ONLY_FOR.get(key)
            if families is not None and self.family not in families and getattr(self, key):
                raise ValueError(f"a core of the kind {self.kind} has no {key}")
        try:
            self.server()
            if self.family == "scripted":
                from engine.cores.scripted import ScriptedCore

                ScriptedCore.parse(self.script or "")
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self


CoreConfigs = dict[Annotated[str, AfterValidator(core_name)], CoreConfig]
"""The settings' tables of cores, by name."""
