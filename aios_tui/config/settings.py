"""Settings from the command line, `AIOS_TUI_*`, a TOML file and defaults, in that order of precedence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
)

from aios_tui.config import paths
from aios_tui.config.sources import from_environment, from_file
from engine.cores.config import CoreConfig, CoreConfigs, kinds
from engine.errors import UsageError
from engine.kernel.config import KernelConfig
from engine.sanitise import one_line
from engine.scheduling import parse_policy
from engine.validation import wording
from engine.wording import nearest

PREFIX = "AIOS_TUI_"


def _path(value: Any) -> Any:
    if value == "":
        raise ValueError("the path is empty")
    return Path(value).expanduser().absolute() if isinstance(value, str | Path) else value


def _policy(value: str) -> str:
    try:
        return parse_policy(value).name
    except UsageError as error:
        raise ValueError(str(error)) from None


def _core(value: str, info: ValidationInfo) -> str:
    from engine.cores.core_spec import parse_cores

    try:
        parse_cores(value, info.data.get("cores", {}))
    except UsageError as error:
        raise ValueError(str(error)) from None
    return value


def _blank_is_none(value: Any) -> Any:
    return None if value == "" else value


def _otel(value: Any) -> Any:
    """Accept true, false, or the base address of a collector."""
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "1", "yes", "on"):
        return True
    if value.lower() in ("", "false", "0", "no", "off"):
        return False
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("neither true nor false nor a collector's address, such as http://127.0.0.1:4318")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the address contains a name or password: put keys in OTEL_EXPORTER_OTLP_HEADERS")
    if "?" in value or "#" in value:
        raise ValueError("the address contains a query or fragment: put keys in OTEL_EXPORTER_OTLP_HEADERS")
    return value.rstrip("/")


PathSetting = Annotated[Path, BeforeValidator(_path)]
Name = Annotated[str, Field(min_length=1, max_length=500)]
OptionalName = Annotated[Name | None, BeforeValidator(_blank_is_none)]
CoreName = Annotated[str, AfterValidator(_core)]
Otel = Annotated[bool | str, BeforeValidator(_otel)]
PolicyName = Annotated[str, AfterValidator(_policy)]
Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class MakingArguments(TypedDict):
    """Arguments of `make_core` besides the core."""

    slots: int | None
    default_model: str | None
    environ: Mapping[str, str]
    keys: Path


class CoreArguments(MakingArguments):
    """Arguments of `choose_cores` and of core discovery besides the choice."""

    configured: Mapping[str, CoreConfig]


class Settings(BaseModel):
    """All settings. Each one is a key of the TOML file, and an `AIOS_TUI_` variable in capitals."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)

    cores: CoreConfigs = Field(default_factory=dict)
    """Your own cores, a table [cores.NAME] each; see docs/cores.md."""
    core: CoreName = "auto"
    """The cores to use: auto, or any of your cores, embedded, ollama, ollama@URL, openai@URL, presets, scripted:…"""
    model: OptionalName = None
    """The model of tasks that name none; without it the core chooses."""
    slots: Annotated[int, Field(ge=1, le=256)] | None = None
    """Attempts that each core runs at a time, where its table does not say; without it the core's own number."""
    policy: PolicyName = "fifo"
    """The order of the queue at start: fifo, npps or npps:ageing=SECONDS, each with affinity=PASSES."""
    db: PathSetting = Field(default_factory=paths.default_database)
    """The history database."""
    theme: OptionalName = None
    """The console's colour theme; without it the one used last."""
    agents_folder: PathSetting = Field(default_factory=lambda: paths.config_folder() / "agents")
    """Your own agents, one TOML file each."""
    themes_folder: PathSetting = Field(default_factory=lambda: paths.config_folder() / "themes")
    """Your own themes, one TOML file each."""
    workloads_folder: PathSetting = Field(default_factory=lambda: paths.data_folder() / "workloads")
    """Your workload files; recordings go there."""
    first_token_s: Limit = 300.0
    """Seconds from dispatch to the first sign of progress; 0 means no limit."""
    gap_s: Limit = 120.0
    """Seconds between two pieces of a stream; 0 means no limit."""
    total_s: Limit = 1800.0
    """Seconds for one attempt in all; 0 means no limit."""
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """Attempts per round, the first included; also how often a task may be interrupted before it fails."""
    backoff_s: Limit = 1.0
    """Seconds before the second attempt, doubled for each further one."""
    backoff_max_s: Limit = 30.0
    """The longest wait before another attempt, in seconds."""
    host: Name = "127.0.0.1"
    """The address that `serve` and `--listen` answer on; any but a loopback one needs a token."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """The port that `serve` and `--listen` answer on; 0 takes a free one."""
    token: Annotated[SecretStr | None, BeforeValidator(_blank_is_none)] = None
    """The secret that clients of the service must send; at least 16 characters."""
    aliases: dict[Name, Name] = Field(default_factory=dict)
    """Model names that clients use, and the model that serves each."""
    hosts: tuple[Name, ...] = ()
    """More host names by which clients may address the service."""
    origins: tuple[Name, ...] = ()
    """Web pages, such as https://desk.example, whose scripts may use the service."""
    status_wait_s: Limit = 300.0
    """Seconds that a status request of an AIOS client waits for the task's end."""
    request_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 200.0
    """Requests a second allowed from one address; five times as many at once."""
    max_request_mb: Annotated[float, Field(gt=0, le=1024)] = 8.0
    """The largest request, in MB."""
    metrics: bool = False
    """Serve Prometheus' text at GET /metrics; needs the extra `metrics`."""
    otel: Otel = False
    """Send OpenTelemetry spans and metrics: true, or the collector's address; needs the extra `otel`."""
    service: OptionalName = None
    """The service that submit, ps, watch … act on, as http://HOST:PORT; without it, the one that has the history."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages in the log file. Prompts and replies are never logged."""

    def core_arguments(self) -> CoreArguments:
        """Return the cores' part of the settings, with this process's environment."""
        return {"configured": self.cores, **self.making_arguments()}

    def making_arguments(self) -> MakingArguments:
        """Return the same without the configured cores."""
        return {
            "slots": self.slots,
            "default_model": self.model,
            "environ": os.environ,
            "keys": paths.keys_file(),
        }

    def kernel_config(self) -> KernelConfig:
        """Return the kernel's part of the settings."""
        return KernelConfig(
            first_token_s=self.first_token_s or None,
            gap_s=self.gap_s or None,
            total_s=self.total_s or None,
            max_attempts=self.max_attempts,
            backoff_s=self.backoff_s,
            backoff_max_s=self.backoff_max_s,
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and their origins.

    Attributes:
        origins: for each field that was set, the place: `option --slots`, `AIOS_TUI_SLOTS` or `settings file PATH`.
        config: the settings file; it may not exist.
    """

    settings: Settings
    origins: Mapping[str, str]
    config: Path


def read_settings(
    options: Mapping[str, Any] | None = None, *, config: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Loaded, list[str]]:
    """Read settings. `options` are the command line's; None means not given.

    Invalid values fall back to defaults; each is a line in the returned list, with the place, the key and the reason.
    """
    environ = os.environ if environ is None else environ
    named = config or (Path(environ[f"{PREFIX}CONFIG"]) if environ.get(f"{PREFIX}CONFIG") else None)
    path = (named or paths.default_config()).expanduser().absolute()
    problems: list[str] = []
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for found, origin in (
        (
            from_file(path, Settings.model_fields, problems, required=named is not None),
            lambda key: f"settings file {path}",
        ),
        (from_environment(environ, Settings.model_fields, PREFIX, problems), lambda key: f"{PREFIX}{key.upper()}"),
        ({key: value for key, value in (options or {}).items() if value is not None}, _option),
    ):
        values |= found
        origins |= {key: origin(key) for key in found}
    while True:
        try:
            return Loaded(Settings(**values), origins, path), problems
        except ValidationError as error:
            keys = dict.fromkeys(str(each["loc"][0]) for each in error.errors(include_url=False))
            invalid = [key for key in keys if key in values]
            if not invalid:
                raise
            problems += (one_line(_complaint(error, key, origins)) for key in invalid)
            values = {key: value for key, value in values.items() if key not in invalid}
            origins = {key: value for key, value in origins.items() if key not in invalid}


def _complaint(error: ValidationError, key: str, origins: Mapping[str, str]) -> str:
    """Word the first error of `key`: where it was set, the key unless that names it, the reason."""
    first = next(each for each in error.errors(include_url=False) if each["loc"][0] == key)
    _, *inner = (str(part) for part in first["loc"] if part != "[key]")
    where, message = origins.get(key, "default"), wording(first)
    if key == "cores" and first["type"] == "extra_forbidden":
        near = nearest(inner[-1], CoreConfig.model_fields, most=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(CoreConfig.model_fields)}"
        message = f"a core has no such key; {hint}"
    if key == "cores" and first["type"] == "missing":
        message = f"missing; it is one of {', '.join(kinds())}"
    path = ".".join([key, *inner])
    return f"{where}: {path}: {message}" if inner or where.startswith("settings") else f"{where}: {message}"


def _option(key: str) -> str:
    return f"option --{key.replace('_', '-')}"
