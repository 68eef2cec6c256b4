"""The catalogue: built-in agents, the user's own, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.agents.catalogue import BUILT_IN, load_catalogue
from engine.agents.protocol import Agents
from engine.errors import UsageError
from engine.task import TaskSpec
from tests.engine.agents.helpers import RecordingContext

ROUNDS = {"chat": 1, "story_teller": 3, "summarise": 1, "tech_support_agent": 3, "translate": 1}


def _agent(name: str, prompt: str = "{prompt}", extra: str = "") -> str:
    return f'name = "{name}"\n{extra}\n[[round]]\nprompt = "{prompt}"\n'


def test_the_built_in_agents() -> None:
    catalogue, problems = load_catalogue(None)
    assert problems == []
    assert {agent.name: agent.round_total for agent in catalogue.agents()} == ROUNDS
    assert catalogue.names() == sorted(ROUNDS)
    assert all(agent.description and agent.source == BUILT_IN for agent in catalogue.agents())
    as_port: Agents = catalogue
    assert as_port.get("chat").name == "chat"


@pytest.mark.parametrize("name", sorted(ROUNDS))
async def test_every_built_in_agent_tells_the_model_the_task_and_its_own_work(name: str) -> None:
    agent = load_catalogue(None)[0].get(name)
    ctx = RecordingContext(TaskSpec(prompt="the goose {reply}", agent=f"example/{name}"))
    result = await agent.run(ctx)
    assert result == {"agent_name": f"example/{name}", "result": f"reply {ROUNDS[name]}", "rounds": ROUNDS[name]}
    assert "the goose {reply}" in ctx.requests[0].last
    for number, request in enumerate(ctx.requests[1:], start=1):
        assert f"reply {number}" in request.last, "a later round builds on the one before"


def test_a_bad_user_agent_is_named_and_the_rest_still_load(tmp_path: Path) -> None:
    (tmp_path / "a_bad.toml").write_text("name = ")
    (tmp_path / "b_good.toml").write_text(_agent("haiku"))
    (tmp_path / "c_typo.toml").write_text(_agent("typo", "{promt}"))
    (tmp_path / "d_twice.toml").write_text(_agent("haiku"))
    (tmp_path / "notes.txt").write_text("not an agent")
    (tmp_path / "folder.toml").mkdir()
    catalogue, problems = load_catalogue(tmp_path)
    assert catalogue.names() == sorted([*ROUNDS, "haiku"])
    assert catalogue.get("haiku").source == str(tmp_path / "b_good.toml")
    assert len(problems) == 3
    for problem, name, reported in zip(
        problems,
        ["a_bad", "c_typo", "d_twice"],
        ["not TOML", "unknown placeholder {promt}", "b_good.toml"],
        strict=True,
    ):
        assert f"{name}.toml" in problem
        assert reported in problem


def test_an_unreadable_file_is_a_problem_not_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.toml").write_text(_agent("secret"))

    really = Path.open

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "secret.toml":
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    (problem,) = load_catalogue(tmp_path)[1]
    assert "secret.toml: Permission denied" in problem


def test_a_folder_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    catalogue, problems = load_catalogue(tmp_path / "nowhere")
    assert (catalogue.names(), problems) == (sorted(ROUNDS), [])


def test_a_users_agent_stands_before_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "chat.toml").write_text(_agent("chat", "Mine: {prompt}", 'author = "me"'))
    catalogue, problems = load_catalogue(tmp_path)
    assert problems == []
    assert catalogue.get("chat").author == "me"
    assert catalogue.get("me/chat").author == "me"
    assert catalogue.get("example/chat").source == BUILT_IN
    assert len(catalogue.agents()) == len(ROUNDS)


def test_an_unknown_name_is_told_with_near_ones(tmp_path: Path) -> None:
    (tmp_path / "haiku.toml").write_text(_agent("haiku", extra='author = "me"'))
    catalogue, _ = load_catalogue(tmp_path)
    for name, reported in [
        ("story_tellr", "did you mean story_teller?"),
        ("example/Chat", "did you mean chat?"),
        ("xyzzy", "known: chat, haiku"),
        ("you/haiku", "'haiku' is by 'me'"),
        ("", "known: "),
        ("a" * 100_000, "known: "),
    ]:
        with pytest.raises(UsageError) as caught:
            catalogue.get(name)
        assert reported in str(caught.value)
        assert len(str(caught.value)) < 300
