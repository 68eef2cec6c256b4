"""The checks of `doctor` on cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.cores.embedded import core as embedded
from tests.aios_tui.cli.helpers import Here
from tests.engine.cores.helpers import InThread
from tests.engine.cores.ollama.fake_server import FakeOllama


@pytest.fixture(autouse=True)
def without_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "available", lambda *_: "no engine; run `the command`")


def configured(folder: Path, text: str) -> str:
    path = folder / "config.toml"
    path.write_text(text)
    return str(path)


def table(name: str, url: str) -> str:
    return f'[cores.{name}]\nkind = "ollama"\nurl = "http://{url}"\n'


def of(cli: Here, check: str, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    found = cli("doctor", "--json", *arguments)
    return found.code, [line for line in found.tasks() if line["check"] == check]


def test_each_configured_core_has_a_line(cli: Here) -> None:
    sound, old = FakeOllama("red:1b"), FakeOllama("blue:1b", version="0.12.0")
    with InThread(sound), InThread(old):
        config = configured(
            cli.folder, table("den", sound.host) + table("shed", old.host) + table("attic", "127.0.0.1:9")
        )
        code, lines = of(cli, "core", "--config", config)
    assert code == 0, "two of three can run the tasks"
    assert [line["state"] for line in lines] == ["ok", "warn", "warn"]
    den, shed, attic = lines
    assert den["detail"].startswith(f"den: ollama 0.35.1, at {sound.host}, ")
    assert "default red:1b" in den["detail"]
    assert "0.35.0" in shed["advice"]
    assert "127.0.0.1:9" in attic["detail"] and "wait" in attic["advice"]


def test_no_usable_core_is_a_failure(cli: Here) -> None:
    config = configured(cli.folder, table("attic", "127.0.0.1:9") + table("cellar", "127.0.0.1:10"))
    code, lines = of(cli, "core", "--config", config)
    assert (code, [line["state"] for line in lines]) == (1, ["fail", "fail"])
    code, lines = of(cli, "core", "--config", configured(cli.folder, ""))
    assert (code, [line["state"] for line in lines]) == (1, ["fail"])
    assert "no core to run tasks on" in lines[0]["detail"] and "models fetch" in lines[0]["advice"]


def test_a_key_that_is_missing_is_named_and_one_that_others_may_read_fails(
    cli: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    config = configured(cli.folder, '[cores.fast]\nkind = "groq"\nmodel = "m"\n')
    code, (line,) = of(cli, "core", "--config", config)
    assert (code, line["state"]) == (1, "fail")
    assert "GROQ_API_KEY" in line["detail"]
    keys = cli.folder / "config" / "aios-tui" / "keys.toml"
    keys.parent.mkdir(parents=True)
    keys.write_text('NOVITA_API_KEY = "sk-not-shown"\n')
    keys.chmod(0o644)
    done = cli("doctor", "--core", "scripted:")
    assert done.code == 1
    assert f"fail  keys       {keys}" in done.out
    assert "sk-not" not in done.out + done.err
