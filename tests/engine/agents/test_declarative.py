"""Declarative agents: what they ask of the kernel, round by round, and which files are refused."""

from __future__ import annotations

import pytest

from engine.agents.declarative import MAX_FILE_BYTES, parse_agent
from engine.errors import UsageError
from engine.task import GenerationOptions, TaskSpec
from tests.engine.agents.helpers import RecordingContext

TWO_ROUNDS = """
name = "pair"
description = "Two rounds"
system = "Be brief."
options = {{ temperature = 0.5, max_tokens = 10 }}
carry = {carry}
[[round]]
name = "first"
prompt = "Plan: {{prompt}}"
[[round]]
prompt = "Do {{round.first}} for {{task}}"
options = {{ max_tokens = 99 }}
"""


def _roles(request_messages: object) -> list[str]:
    return [message.role for message in request_messages]  # type: ignore[attr-defined]


async def test_each_round_is_one_request_and_the_last_reply_is_the_result() -> None:
    agent = parse_agent(TWO_ROUNDS.format(carry="false").encode(), "here")
    ctx = RecordingContext(TaskSpec(prompt="tea", agent="me/pair"))
    assert await agent.run(ctx) == {"agent_name": "me/pair", "result": "reply 2", "rounds": 2}
    assert agent.round_total == 2
    assert [request.last for request in ctx.requests] == ["Plan: tea", "Do reply 1 for tea"]
    assert [_roles(request.messages) for request in ctx.requests] == [["system", "user"], ["system", "user"]]


async def test_carry_sends_the_conversation_along() -> None:
    agent = parse_agent(TWO_ROUNDS.format(carry="true").encode(), "here")
    ctx = RecordingContext(TaskSpec(prompt="tea"))
    await agent.run(ctx)
    assert [(m.role, m.content) for m in ctx.requests[1].messages] == [
        ("system", "Be brief."),
        ("user", "Plan: tea"),
        ("assistant", "reply 1"),
        ("user", "Do reply 1 for tea"),
    ]
    assert len(ctx.requests[0].messages) == 2, "what was sent first must not grow afterwards"


async def test_a_rounds_options_go_before_the_agents() -> None:
    agent = parse_agent(TWO_ROUNDS.format(carry="false").encode(), "here")
    ctx = RecordingContext(TaskSpec(prompt="tea"))
    await agent.run(ctx)
    assert [request.options for request in ctx.requests] == [
        GenerationOptions(temperature=0.5, max_tokens=10),
        GenerationOptions(temperature=0.5, max_tokens=99),
    ]


async def test_places_in_a_prompt_or_a_reply_are_not_filled() -> None:
    agent = parse_agent(TWO_ROUNDS.format(carry="false").encode(), "here")
    ctx = RecordingContext(TaskSpec(prompt="{round.first}{reply}"), answer=lambda n: "{task}")
    await agent.run(ctx)
    assert [request.last for request in ctx.requests] == [
        "Plan: {round.first}{reply}",
        "Do {task} for {round.first}{reply}",
    ]


async def test_a_failing_syscall_is_left_to_the_kernel() -> None:
    agent = parse_agent(b'name = "a"\n[[round]]\nprompt = "{prompt}"', "here")

    def fail(n: int) -> str:
        raise RuntimeError("the core said no")

    with pytest.raises(RuntimeError, match="the core said no"):
        await agent.run(RecordingContext(TaskSpec(prompt="x"), answer=fail))


@pytest.mark.parametrize(
    ("toml", "reported"),
    [
        (b"name = ", "not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[[round]]\nprompt = 'x'", "name: Field required"),
        (b"name = 'a'", "round: Field required"),
        (b"name = 'a'\nround = []", "round:"),
        (b"name = 'a/b'\n[[round]]\nprompt = 'x'", "name: a name is up to 64 letters"),
        (b"name = 'a'\nmodel = 'x'\n[[round]]\nprompt = 'x'", "model: no such field"),
        (b"name = 'a'\n[[round]]\nprompt = '  '", "prompt: is empty"),
        (b"name = 'a'\n[[round]]\nprompt = 'x'\noptions = { top = 1 }", "round.0.options.top: no such field"),
        (b"name = 'a'\n[[round]]\nprompt = '{reply}'", "there is no reply yet"),
        (b"name = 'a'\n[[round]]\nprompt = '{round.b}'\n[[round]]\nname = 'b'\nprompt = 'x'", "has not run by then"),
        (
            b"name = 'a'\n[[round]]\nname='r'\nprompt = 'x'\n[[round]]\nname='r'\nprompt = 'x'",
            "two rounds are named 'r'",
        ),
        (b"#" * (MAX_FILE_BYTES + 1), "longer than"),
    ],
)
def test_a_bad_file_is_refused_with_one_line(toml: bytes, reported: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_agent(toml, "here")
    assert reported in str(caught.value)
    assert "\n" not in str(caught.value)


def test_control_characters_in_a_file_are_replaced() -> None:
    agent = parse_agent(
        b'name = "a"\ndescription = "x\\u001b[2Jy\\nz"\n[[round]]\nprompt = "\\u001b]0;t\\u0007{prompt}"', "h"
    )
    assert agent.description == "x\ufffd[2Jy z"
    assert agent.templates[0].render("p", []) == "\ufffd]0;t\ufffdp"
