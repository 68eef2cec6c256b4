"""The agent that docs/agents.md shows works."""

from __future__ import annotations

import re
from pathlib import Path

from engine.agents.declarative import parse_agent
from engine.task import TaskSpec
from tests.engine.agents.helpers import RecordingContext

PAGE = Path(__file__).parents[3] / "docs" / "agents.md"


async def test_the_agent_in_the_docs_works() -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    agent = parse_agent(toml.encode(), "docs")
    ctx = RecordingContext(TaskSpec(prompt="rain"))
    assert (await agent.run(ctx))["rounds"] == 2
    assert [request.last for request in ctx.requests] == [
        "Write a haiku about rain.",
        "Improve this haiku:\nreply 1",
    ]
