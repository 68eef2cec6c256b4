"""Values of `--core` and `[cores.NAME]`: several cores, their names, and one clear line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.cores.config import CoreConfig
from engine.cores.core_spec import parse_cores
from engine.cores.embedded import core as embedded
from engine.cores.factory import choose_core, choose_cores
from engine.cores.ollama.core import OllamaCore
from engine.cores.openai.core import OpenAICore
from engine.cores.port import Core, SlotState
from engine.cores.scripted import ScriptedCore
from engine.errors import UsageError
from tests.engine.cores.ollama.fake_server import FakeOllama

DEN = CoreConfig(kind="ollama", url="http://den:11434", slots=2, model="qwen3:8b")
ATTIC = CoreConfig(kind="ollama", url="attic")
WORDS = CoreConfig(kind="scripted", model="words:1b", script="tps=0,tokens=3")
MINE = {"den": DEN, "attic": ATTIC, "ollama": WORDS}


def names(choice: str) -> list[str]:
    found = parse_cores(choice, MINE)
    assert found is not None
    return [each.name for each in found]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ["den", "attic", "ollama"]),
        (" den , embedded", ["den", "embedded"]),
        ("ollama", ["ollama"]),  # a configured name goes before a form
        ("scripted:tokens=40,tps=60", ["scripted"]),
        ("scripted:tokens=40,tps=60,den", ["scripted", "den"]),
        ("den,scripted:tokens=40, tps = 60 ,scripted:seed=2,attic", ["den", "scripted", "scripted-2", "attic"]),
        ("scripted:,den", ["scripted", "den"]),
        ("embedded,ollama@box", ["embedded", "ollama-2"]),
        ("ollama@box,ollama@http://shed:8080", ["box", "shed"]),
        ("ollama@box:1,ollama@box:2,ollama@[::1]:3", ["box:1", "box:2", "[::1]"]),
        ("ollama@http://127.0.0.1:1,ollama@127.0.0.1", ["127.0.0.1:1", "127.0.0.1:11434"]),
        ("groq,openai@http://rack:8000/v1,vllm", ["groq", "openai", "vllm"]),
        ("openai,openai@rack:8000,openai@[::1]:9/v1", ["openai", "rack", "[::1]"]),
        ("den,ollama@http://den:9,ollama@x", ["den", "den:9", "x"]),
    ],
)
def test_a_choice_has_one_reading(choice: str, expected: list[str]) -> None:
    assert names(choice) == expected


def test_the_options_go_to_their_scripted_core() -> None:
    found = parse_cores("scripted:tokens=40,tps=60,den,scripted:seed=2", MINE)
    assert found is not None
    assert [each.config.script for each in found] == ["tokens=40,tps=60", None, "seed=2"]


def test_auto_with_nothing_configured_is_left_to_looking() -> None:
    assert parse_cores("auto", {}) is None


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ("den,", "unknown core ''"),
        (",", "unknown core ''"),
        ("den,nope", "unknown core 'nope'; use den, attic, ollama (configured), auto"),
        ("den,tokens=40", "unknown core 'tokens=40'"),
        ("den,auto", "auto stands alone"),
        ("den,den", "den stands there twice"),
        ("embedded,embedded", "one embedded core"),
        ("ollama@box,ollama@box", "box stands there twice"),
        ("ollama@ftp://x,den", "ftp://x"),
        ("groq,groq", "groq stands there twice"),
        ("vlm", "did you mean vllm?"),
        ("openai@", "unknown core 'openai@'"),
        ("openai@ftp://x", "is not the address of a server"),
        ("openai@http://user:sk-secret@x", "cannot carry a key"),
        ("scripted:tokens=x", "tokens"),
        ("scripted:tokens=1,nope=2,den", "nope"),
    ],
)
def test_what_cannot_be_meant_is_one_line(choice: str, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_cores(choice, MINE)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"kind": "olama"}, "'olama' is no kind of core; there are ollama, embedded"),
        ({"kind": "embedded", "url": "http://x"}, "embedded has no url"),
        ({"kind": "embedded", "one_model": True}, "embedded has no one_model"),
        ({"kind": "ollama", "script": "seed=1"}, "ollama has no script"),
        ({"kind": "ollama", "url": "ftp://x"}, "not the address of an Ollama server"),
        ({"kind": "scripted", "script": "seed"}, "not of the form key=value"),
        ({"kind": "ollama", "key_env": "A"}, "ollama has no key_env"),
        ({"kind": "embedded", "model": "x"}, "embedded has no model"),
        ({"kind": "ollama", "priority": True}, "ollama has no priority"),
        ({"kind": "vllm", "one_model": True}, "vllm has no one_model"),
        ({"kind": "openai", "key_env": "sk-abc"}, "the key itself is not written here"),
        ({"kind": "openai", "key_env": "gsk_abcDEF123456789"}, "the key itself is not written here"),
        ({"kind": "openai", "key_env": "hf_abcDEF123456789"}, "the key itself is not written here"),
        ({"kind": "gemini", "key_env": "AIzaSyD4f1c9b7e2a5d80361"}, "the key itself is not written here"),
        ({"kind": "groq", "key_env": "groq_api_key"}, "in capitals"),
        ({"kind": "openai", "url": "http://x/v1?key=1"}, "cannot carry a key"),
        ({"kind": "ollama", "slots": 0}, "greater than or equal to 1"),
        ({"kind": "ollama", "slot": 1}, "Extra inputs"),
    ],
)
def test_a_bad_table_is_refused(table: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CoreConfig.model_validate(table)
    assert word in str(caught.value)


@pytest.mark.parametrize(
    "choice",
    [
        "ollama@http://me:PASSWORD@host:99999",
        "ollama@me:PASSWORD@host:port",
        "openai@ftp://me:PASSWORD@host",
        "openai@https://me:PASS/WORD@host:99999/v1",
        "openai@http://host:99999/v1?key=PASSWORD",
        "ollama@http://host:99999/#PASSWORD",
        "olama@http://me:PASSWORD@host",
        "http://me:PASSWORD@host",
        "PASSWORD@host",
    ],
)
def test_a_mistake_is_told_without_the_password(choice: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_cores(choice, MINE)
    assert "host" in str(caught.value)
    assert "PASS" not in str(caught.value)
    assert "WORD" not in str(caught.value)


def test_a_slip_in_a_kind_is_told_before_an_address_too() -> None:
    with pytest.raises(UsageError, match=r"unknown core 'olama@gpu:11434'; did you mean ollama\?"):
        parse_cores("olama@gpu:11434", MINE)


async def cores(choice: str, configured: dict[str, CoreConfig], slots: int | None = None) -> list[Core]:
    chosen = await choose_cores(choice, configured=configured, environ={}, slots=slots)
    return [each.core for each in chosen]


async def test_configured_cores_are_made_as_they_say() -> None:
    den, attic, words = await cores("auto", MINE, slots=3)
    assert isinstance(den, OllamaCore) and isinstance(attic, OllamaCore) and isinstance(words, ScriptedCore)
    assert [len(core.slots()) for core in (den, attic, words)] == [2, 3, 3]
    assert [core.address.label for core in (den, attic)] == ["den:11434", "attic:11434"]
    assert (await words.inspect()).default_model == "words:1b"
    assert {slot.id for slot in (*den.slots(), *attic.slots())} == {"den/0", "den/1", "attic/0", "attic/1", "attic/2"}
    for core in (den, attic, words):
        await core.stop(drain_s=0)


async def test_a_server_of_openais_protocol_is_made_as_its_table_says(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('RACK_KEY = "sk-from-the-file"\n')
    keys.chmod(0o600)
    tables = {
        "rack": CoreConfig(kind="openai", url="http://rack:8000/v1", key_env="RACK_KEY", slots=16, model="m"),
        "fast": CoreConfig(kind="vllm", url="http://fast:8000"),
        "groq": CoreConfig(kind="groq"),
    }
    chosen = await choose_cores(
        "auto", configured=tables, environ={"GROQ_API_KEY": "gsk_of_the_environment"}, keys=keys
    )
    rack, fast, groq = (each.core for each in chosen)
    assert isinstance(rack, OpenAICore) and isinstance(fast, OpenAICore) and isinstance(groq, OpenAICore)
    assert [len(core.slots()) for core in (rack, fast, groq)] == [16, 8, 4]
    assert [core.address.url for core in (rack, fast)] == ["http://rack:8000/v1", "http://fast:8000/v1"]
    assert [each.why for each in chosen] == [
        "the server at rack:8000/v1, as configured",
        "vLLM at fast:8000, as configured",
        "Groq at https://api.groq.com/openai/v1, as configured",
    ]
    keys.chmod(0o644)
    with pytest.raises(UsageError) as caught:
        await choose_cores("rack", configured=tables, environ={}, keys=keys)
    assert "sk-from" not in str(caught.value) and str(keys) in str(caught.value)
    for core in (rack, fast, groq):
        await core.stop(drain_s=0)


async def test_of_several_one_that_is_down_does_not_stop_the_start() -> None:
    async with FakeOllama("a:1b") as fake:
        nowhere = fake.host
    lonely, words = await cores(f"ollama@{nowhere},scripted:", {})
    await lonely.start()
    assert (await lonely.inspect()).healthy is False
    states = {slot.state for slot in lonely.slots()}
    assert SlotState.DOWN in states and SlotState.UP not in states
    for core in (lonely, words):
        await core.stop(drain_s=0)


async def test_one_core_is_one() -> None:
    with pytest.raises(UsageError, match="name one core out of den, attic"):
        await choose_core("den,attic", configured=MINE, environ={})


async def test_the_embedded_core_may_have_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "available", lambda: None)
    (core,) = await cores("auto", {"tiny": CoreConfig(kind="embedded", slots=2)})
    assert core.name == "tiny"
    assert [slot.id for slot in core.slots()] == ["tiny/0", "tiny/1"]
    await core.stop(drain_s=0)
