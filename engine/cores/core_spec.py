"""Parses the `--core` choice: configured names and forms, with commas between them.

A comma begins another core, but for one case: what reads `key=value` belongs to the `scripted:` before it. No name
and no form begins with a word and `=`, so there is only one way to read a choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from engine.cores.api_keys import without_login
from engine.cores.config import CoreConfig, is_kind, kinds
from engine.cores.plugins import plugin_kinds, plugin_problems
from engine.errors import UsageError
from engine.sanitise import one_line
from engine.validation import wording
from engine.wording import nearest

FORMS = "auto, embedded, ollama, ollama@URL, openai@URL, a preset's or plug-in's name or scripted[:KEY=VALUE,…]"
_OPTION = re.compile(r"\w+\s*=")


@dataclass(frozen=True, slots=True)
class CoreSpec:
    """One core of a choice. `configured`: it is a table of the settings, chosen by its name."""

    name: str
    config: CoreConfig
    configured: bool = False


def parse_cores(choice: str, configured: Mapping[str, CoreConfig]) -> list[CoreSpec] | None:
    """Return the cores that `choice` names, in its order; None for `auto` with none configured.

    `auto` means all that are configured. Nothing but the text is looked at. Raises UsageError with one line.
    """
    parts = _split(choice)
    if parts == ["auto"]:
        return [CoreSpec(name, config, True) for name, config in configured.items()] or None
    if "auto" in parts:
        raise UsageError("core auto stands alone: it means all cores that are configured, or else what is found")
    wanted = [
        CoreSpec(part, configured[part], True) if part in configured else CoreSpec("", _form(part, configured))
        for part in parts
    ]
    return _named(wanted, set(configured))


def _split(choice: str) -> list[str]:
    parts: list[str] = []
    for part in choice.split(","):
        text = part.strip()
        if parts and parts[-1].startswith("scripted:") and (_OPTION.match(text) or not text):
            parts[-1] += f",{text}"
        else:
            parts.append(text)
    return parts


def _form(part: str, configured: Mapping[str, CoreConfig]) -> CoreConfig:
    word, at, address = part.partition("@")
    kind, rest = part, ""
    if part.startswith("scripted:"):
        kind, _, rest = part.partition(":")
    elif at and (word in ("ollama", "openai") or word in plugin_kinds()):
        kind, rest = word, address
    if not is_kind(kind) or (kind not in (part, "scripted") and not rest):
        if problem := plugin_problems().get(word):
            raise UsageError(problem)
        names = f"{', '.join(configured)} (configured), " if configured else ""
        near = nearest(word if at else kind, [*configured, *kinds()], most=1, cutoff=0.75)
        hint = f"; did you mean {near[0]}?" if near else f"; use {names}{FORMS}"
        # The text before the @ is a kind with a slip in it, or part of a password.
        shown = f"{word if near else '…'}@{without_login(address)}" if at else without_login(part)
        raise UsageError(f"unknown core '{one_line(shown, 80)}'{hint}")
    try:
        if kind == "scripted":
            return CoreConfig(kind=kind, script=rest or None)
        return CoreConfig(kind=kind, url=rest or None)
    except ValidationError as error:
        raise UsageError(one_line(wording(error.errors(include_url=False)[0]))) from None


def _named(wanted: list[CoreSpec], taken: set[str]) -> list[CoreSpec]:
    """Give each form a name of its own, not `taken`: its kind's, and where there are several of a kind, its host's."""
    found: dict[str, CoreSpec] = {}
    forms = [each.config for each in wanted if not each.configured]
    for each in wanted:
        name = each.name
        if not each.configured:
            names = _names(each.config, [form for form in forms if form.kind == each.config.kind])
            name = next(name for name in names if name not in found and name not in taken)
        elif name in found:
            raise UsageError(f"core {name} stands there twice")
        if each.config.kind == "embedded" and any(other.config.kind == "embedded" for other in found.values()):
            raise UsageError("there is one embedded core, not two")
        if each.config in [other.config for other in found.values()] and each.config.kind != "scripted":
            raise UsageError(f"core {one_line(each.config.url or each.config.kind, 80)} stands there twice")
        found[name] = CoreSpec(name, each.config, each.configured)
    return list(found.values())


def _names(config: CoreConfig, forms: list[CoreConfig]) -> list[str]:
    """Return the names it may have, the best first. `forms` are all of its kind: two on a host both get their port."""
    numbered = [f"{config.kind}-{number}" for number in range(2, 100)]
    if config.url is None or len(forms) == 1:
        return [config.kind, *numbered]
    host, port = _host(config)
    hosts = [_host(form)[0] for form in forms if form.url is not None]
    alone = [host] if hosts.count(host) == 1 else []
    return [*alone, f"{host}:{port}", *numbered]


def _host(config: CoreConfig) -> tuple[str, str]:
    server = config.server()
    url = server.url if server else config.url or ""
    if "://" not in url:  # a plug-in's
        url = f"//{url}"
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (f"[{host}]" if ":" in host else host), str(port)
