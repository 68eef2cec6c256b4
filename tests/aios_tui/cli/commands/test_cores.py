"""`aios-tui cores`: configured and discovered cores, and their state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cores.embedded import core as embedded
from engine.cores.openai.core import OpenAICore
from engine.cores.port import CoreInfo
from tests.aios_tui.cli.helpers import Here
from tests.engine.cores.helpers import InThread
from tests.engine.cores.ollama.fake_server import FakeOllama


@pytest.fixture(autouse=True)
def without_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "available", lambda *_: "no engine; run `the command`")


def configured(folder: Path, **urls: str) -> Path:
    path = folder / "config.toml"
    path.write_text(
        "".join(f'[cores.{name}]\nkind = "ollama"\nurl = "{url}"\nslots = 2\n' for name, url in urls.items())
    )
    return path


def listed(out: str) -> dict[str, dict[str, Any]]:
    return {row["core"]: row for row in map(json.loads, out.splitlines())}


def test_each_core_is_listed_with_health_slots_and_models(cli: Here) -> None:
    fake = FakeOllama("red:1b", "blue:1b", loaded=["blue:1b"], version="0.35.1")
    with InThread(fake):
        config = configured(cli.folder, den=f"http://{fake.host}", attic="http://127.0.0.1:9")
        found = cli("cores", "--json", "--config", str(config))
        plain = cli("cores", "--config", str(config)).out
    rows = listed(found.out)
    assert found.code == 1, "attic is down"
    assert list(rows) == ["den", "attic", "embedded"], "the usual place of Ollama is attic's here"
    den = rows["den"]
    assert (den["kind"], den["configured"], den["chosen"], den["usable"]) == ("ollama", True, True, True)
    assert (den["slots"], den["slots_from"], den["models"]) == (2, "configured", 2)
    assert (den["version"], den["where"], den["default_model"]) == ("0.35.1", fake.host, "blue:1b")
    assert (rows["attic"]["usable"], "127.0.0.1:9" in rows["attic"]["detail"]) == (False, True)
    assert not rows["embedded"]["chosen"]
    assert "the command" in rows["embedded"]["detail"]
    (line,) = [line for line in plain.splitlines() if " den " in line]
    assert line.split()[:5] == ["*", "den", "ollama", "up", "2"]


def test_a_version_with_a_known_flaw_is_reported(cli: Here) -> None:
    fake = FakeOllama("red:1b", version="0.12.0")
    with InThread(fake):
        found = cli("cores", "--json", "--core", f"ollama@{fake.host}")
    assert found.code == 0
    assert "0.35.0" in listed(found.out)["ollama"]["detail"]


def test_no_usable_core_is_exit_code_2(cli: Here) -> None:
    found = cli("cores")
    assert found.code == 2
    assert "models fetch" in found.err


def test_auto_marks_the_cores_it_chooses(cli: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "available", lambda *_: None)
    found = cli("cores", "--json")
    assert found.code == 0
    assert {name: row["chosen"] for name, row in listed(found.out).items()} == {"embedded": True, "ollama": False}


def test_a_choice_beside_the_configured_ones(cli: Here) -> None:
    fake = FakeOllama("red:1b")
    with InThread(fake):
        config = configured(cli.folder, den=f"http://{fake.host}")
        found = cli("cores", "--json", "--config", str(config), "--core", "scripted:")
    rows = listed(found.out)
    assert found.code == 0
    assert {name: row["chosen"] for name, row in rows.items()} == {
        "scripted": True,
        "den": False,
        "ollama": False,
        "embedded": False,
    }


def test_a_preset_whose_key_is_set_is_found_and_the_key_is_not_shown(
    cli: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenAICore, "inspect", _down)
    monkeypatch.setenv("GROQ_API_KEY", "gsk_do_not_show_this")
    keys = cli.folder / "config" / "aios-tui" / "keys.toml"
    keys.parent.mkdir(parents=True)
    keys.write_text('NOVITA_API_KEY = "sk-nor-this-one"\n')
    keys.chmod(0o600)
    found = cli("cores", "--json", "--core", "scripted:")
    assert {"groq", "novita"} <= set(listed(found.out)) and "openai" not in listed(found.out)
    assert listed(found.out)["groq"]["slots"] == 4
    for secret in ("gsk_do", "sk-nor"):
        assert secret not in found.out + found.err


async def _down(core: OpenAICore) -> CoreInfo:
    """Stand in for a request to a provider over the network."""
    return CoreInfo(core.name, False, None, detail="not asked", kind="openai", slots_from="configured")
