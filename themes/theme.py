"""The schema of a colour theme, and reading one from a TOML file.

A theme file names every colour that the console uses, as `#rrggbb`; none is derived from others.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

PRIORITIES = 10
MAX_BYTES = 65_536

_TEXT_STYLES = frozenset({"none", "bold", "dim", "italic", "reverse", "strike", "underline"})

Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
_SHADED_COLOUR = re.compile(r"#[0-9a-fA-F]{6}( (100|0?[0-9]?[0-9])%)?")
VariableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,59}$")]


class ThemeError(Exception):
    """A theme file is invalid. `str(error)` is one line: file, field, reason."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters are not allowed")
    return text


class Colours(BaseModel):
    """The named colours, each `#rrggbb`.

    `background` is behind everything, `surface` in panes and inputs, `panel` in headers and footers. `cursor` is the
    background of the selected row, under text of the other colours. `priority` is from 0, most urgent, to 9.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    background: Colour
    surface: Colour
    panel: Colour
    foreground: Colour
    muted: Colour
    primary: Colour
    secondary: Colour
    accent: Colour
    success: Colour
    warning: Colour
    error: Colour
    border: Colour
    cursor: Colour
    priority: Annotated[tuple[Colour, ...], Field(min_length=PRIORITIES, max_length=PRIORITIES)]


class Theme(BaseModel):
    """A theme, as in its file. `variables` override single style variables of the console, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    dark: bool
    description: Annotated[str, Field(max_length=120), AfterValidator(_printable)] = ""
    colours: Colours
    variables: dict[VariableName, str] = {}

    @model_validator(mode="after")
    def _variables_are_usable(self) -> Theme:
        """Accept only values that are sure to parse: a style sheet that can't be parsed would crash the console."""
        for name, value in self.variables.items():
            if name.endswith("-style"):
                if not value or not set(value.split()) <= _TEXT_STYLES:
                    raise ValueError(f"variables.{name}: use words of {', '.join(sorted(_TEXT_STYLES))}")
            elif not _SHADED_COLOUR.fullmatch(value):
                raise ValueError(f"variables.{name}: use a colour as #rrggbb, or #rrggbb with a percentage")
        return self


def load_theme(path: Path) -> Theme:
    """Read and check one theme file. Raises ThemeError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ThemeError(f"{path.name}: larger than {MAX_BYTES // 1024} KiB")
        return Theme.model_validate(tomllib.loads(raw.decode("utf-8")))
    except OSError as error:
        raise ThemeError(f"{path.name}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ThemeError(f"{path.name}: not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ThemeError(f"{path.name}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise ThemeError(f"{path.name}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    """Word the first problem as `field: reason`, with the number of further ones."""
    problems = error.errors(include_url=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    given = ascii(first["input"])
    match first["type"]:
        case "missing":
            reason = "missing"
        case "extra_forbidden":
            reason = "unknown field"
        case "string_pattern_mismatch" if where == "name":
            reason = f"{given[:50]}: use small letters, digits and hyphens, at most 40"
        case "string_pattern_mismatch":
            reason = (
                f"{given[:50]} is not #rrggbb" if where.startswith("colours") else f"{given[:50]} is not a usable name"
            )
        case "too_short" | "too_long" if where.endswith("priority"):
            reason = f"{PRIORITIES} colours are needed, for priorities 0 to {PRIORITIES - 1}"
        case "value_error":
            reason = first["msg"].removeprefix("Value error, ")
        case _:
            reason = first["msg"]
    line = f"{ascii(where)[1:-1]}: {reason}" if where else reason
    return line if len(problems) == 1 else f"{line} (and {len(problems) - 1} more)"
