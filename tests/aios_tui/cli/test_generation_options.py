"""The model options of `run` and `submit`, from the command line to the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.gateway.v1.tasks import TaskOptions
from engine.task import GenerationOptions
from tests.aios_tui.cli.helpers import QUICK, Here
from tests.engine.cores.helpers import Final, InThread, Say, say
from tests.engine.cores.ollama.fake_server import FakeOllama
from tests.engine.cores.ollama.frames import FakeModel

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.fixture
def server() -> Any:
    fake = FakeOllama(FakeModel("qwen3:8b", capabilities=("completion", "thinking")))
    fake.usual = lambda _request: say("Yes", ".", thinking=["Hm", "…"])
    with InThread(fake):
        yield fake


def test_every_option_reaches_the_server(cli: Here, server: FakeOllama, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    found = cli(
        "run", "--core", f"ollama@{server.host}", "--think", "high", "--format", str(schema), "--num-ctx", "2048",
        "--keep-alive", "10m", "--max-tokens", "5", "--temperature", "0.5", "--seed", "3", "--option", "top_k=7",
        "--option", "top-p=0.5", "--option", "stop=END", "--option", 'stop=["a", "b"]', "--json", "Why?",
    )  # fmt: skip
    assert found.code == 0, found.err
    (task,) = found.tasks()
    assert task["result"] == "Yes."  # without the thoughts
    (asked,) = server.chats()
    body = asked.body
    assert body["options"] == {
        "num_predict": 5, "temperature": 0.5, "seed": 3, "num_ctx": 2048, "top_k": 7, "top_p": 0.5,
        "stop": ["END", "a", "b"],
    }  # fmt: skip
    assert (body["think"], body["format"], body["keep_alive"]) == ("high", SCHEMA, "10m")
    shown = cli("history", "show", "--json", "1")
    assert json.loads(shown.out)["attempts"][0]["thinking"] == "Hm…"


@pytest.mark.parametrize(
    ("given", "sent"),
    [("on", True), ("OFF", False), ("true", True), ("no", False), ("low", "low")],
)
def test_the_values_of_think(cli: Here, server: FakeOllama, given: str, sent: object) -> None:
    found = cli("run", "--core", f"ollama@{server.host}", "--think", given, "--format", "JSON", "Why?")
    assert found.code == 0, found.err
    assert (server.chats()[0].body["think"], server.chats()[0].body["format"]) == (sent, "json")


def test_a_tasks_thinking_fails_where_an_agents_is_left_out(cli: Here) -> None:
    agents = cli.folder / "config" / "aios-tui" / "agents"
    agents.mkdir(parents=True, exist_ok=True)
    (agents / "thinker.toml").write_text(
        'name = "thinker"\noptions = { think = true }\n[[round]]\nprompt = "{prompt}"\n'
    )
    with InThread(FakeOllama("smollm2:135m")) as there:
        core = f"ollama@{there.server.host}"
        by_agent = cli("run", "--core", core, "--agent", "thinker", "Why?")
        by_task = cli("run", "--core", core, "--think", "on", "--json", "Why?")
    assert (by_agent.code, by_agent.out.strip()) == (0, "Hello there."), by_agent.err
    assert by_task.code == 1
    error = by_task.tasks()[0]["error"]
    assert "does not support thinking" in error and "; leave out the option think" in error


def test_a_general_option_may_be_any_model_option(cli: Here) -> None:
    values = {
        "max_tokens": "5", "temperature": "0.1", "seed": "1", "num_ctx": "9", "top_k": "1", "top_p": "1", "min_p": "0",
        "repeat_penalty": "1", "stop": "x", "think": "off", "format": "json", "keep_alive": "-1", "endpoint": "raw",
    }  # fmt: skip
    assert set(values) == set(GenerationOptions.model_fields)
    given = [part for name, value in values.items() for part in ("--option", f"{name}={value}")]
    found = cli("run", "--core", QUICK, *given, "hello")
    assert found.code == 0, found.err
    kept = json.loads(cli("history", "show", "--json", "1").out)["options"]
    assert {name: value for name, value in kept.items() if value is not None} == {
        "max_tokens": 5, "temperature": 0.1, "seed": 1, "num_ctx": 9, "top_k": 1, "top_p": 1.0, "min_p": 0.0,
        "repeat_penalty": 1.0, "stop": ["x"], "think": False, "format": "json", "keep_alive": "-1", "endpoint": "raw",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("--think", "maybe"), "--think 'maybe' is none of on, off, low, medium, high"),
        (("--format", "{x"), "--format is not JSON: Expecting property name"),
        (("--format", "[1]"), "--format [1]: No such file or directory; give json, a JSON schema, or the file of one"),
        (("--format", "\x00"), "it can't be read"),
        (("--keep-alive", "5"), "option --keep-alive: not a valid duration; use 300s, 5m or 1h"),
        (("--num-ctx", "0"), "option --num-ctx: 0 is out of range: it has to be at least 1"),
        (("--option", "top_p=2"), "option --option top_p: 2 is out of range: it has to be at most 1.0"),
        (("--option", "endpoint=x"), "'x' is none of 'chat', 'generate' or 'raw'"),
        (("--option", "stop="), "option --option stop: String should have at least 1 character"),
        (("--option", "foo=1"), "--option 'foo' is unknown; known: endpoint, format, keep_alive, max_tokens"),
        (("--option", "nope"), "--option 'nope' is not of the form KEY=VALUE"),
    ],
)
def test_a_bad_option_is_named(cli: Here, given: tuple[str, str], complaint: str) -> None:
    found = cli("run", "--core", QUICK, *given, "hello")
    assert found.code == 2
    assert complaint in found.complaint


def test_a_file_that_is_no_schema_is_named(cli: Here, tmp_path: Path) -> None:
    for text, complaint in (("[1]", "it has to be an object"), ("no", "is not JSON"), ("x" * (2 << 20), "1 MiB")):
        file = tmp_path / "schema.json"
        file.write_text(text)
        found = cli("submit", "--format", str(file), "hello")
        assert found.code == 2
        assert complaint in found.complaint
        assert str(file) in found.complaint


def test_resume_takes_no_task_options(cli: Here) -> None:
    found = cli("run", "--core", QUICK, "--resume", "--think", "on", "--option", "top_k=1")
    assert found.code == 2
    assert "--resume finishes what was left, and takes no --option top_k, --think" in found.complaint


def test_the_http_api_takes_them_as_submit_sends_them() -> None:
    sent = GenerationOptions(
        think="low", format=SCHEMA, stop=("a",), keep_alive="5m", endpoint="generate", top_k=3, top_p=0.5, seed=4
    )
    body = TaskOptions.model_validate(sent.model_dump(mode="json", exclude_none=True))
    assert body.model_dump(exclude_none=True) == sent.model_dump(exclude_none=True)
    assert set(TaskOptions.model_fields) == set(GenerationOptions.model_fields)


def test_calls_of_tools_are_shown_in_words(cli: Here, server: FakeOllama) -> None:
    server.scripts.append((Say("Let me see."), Say(calls=(("look_up", {"city": "Brno", "days": 2}),)), Final()))
    assert cli("run", "--core", f"ollama@{server.host}", "Where?").code == 0
    shown = cli("history", "show", "1").out
    assert 'Let me see.\nasks for look_up (city: "Brno", days: 2)\n' in shown
