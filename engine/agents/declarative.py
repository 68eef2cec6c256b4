"""Agents declared in TOML: a list of rounds, each one prompt template.

    name = "haiku"
    description = "A haiku, then a better one"
    author = "me"                 # optional: then `me/haiku` means this agent
    system = "You are a poet."    # optional
    carry = false                 # true: each round gets the earlier rounds, as a conversation
    options = { temperature = 0.7 }

    [[round]]
    name = "first"
    prompt = "Write a haiku about {prompt}."

    [[round]]
    prompt = "Improve this haiku:\\n{round.first}"
    options = { max_tokens = 100 }

A round's options override the agent's, and the task's own override both.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.agents.protocol import AgentContext, AgentResult
from engine.agents.template import Template, parse
from engine.cores.port import Message
from engine.errors import UsageError
from engine.llm_query import Line
from engine.sanitise import one_line
from engine.task import GenerationOptions, Text
from engine.validation import reason

MAX_ROUNDS = 64
MAX_FILE_BYTES = 262_144


def _matching(pattern: str, problem: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(problem)
        return value

    return AfterValidator(check)


Identifier = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}",
        "a name is up to 64 letters, digits, '.', '_' and '-', and begins with none of '.' and '-'",
    ),
]
RoundName = Annotated[str, _matching(r"[A-Za-z0-9_-]{1,64}", "a round's name is up to 64 letters, digits, '_' and '-'")]


def _no_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


class RoundSpec(BaseModel):
    """One `[[round]]`: a prompt template, and the options of its request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[Text, AfterValidator(_no_blank)]
    name: RoundName | None = None
    options: GenerationOptions = GenerationOptions()


class AgentFile(BaseModel):
    """The contents of an agent's TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Identifier
    description: Line = ""
    author: Identifier | None = None
    system: Text | None = None
    carry: bool = False
    options: GenerationOptions = GenerationOptions()
    rounds: Annotated[tuple[RoundSpec, ...], Field(alias="round", min_length=1, max_length=MAX_ROUNDS)]

    @model_validator(mode="after")
    def _templates_parse(self) -> Self:
        self.templates()
        return self

    def templates(self) -> tuple[Template, ...]:
        """Parse the rounds' templates. Raises ValueError, naming the round with the bad one."""
        names: dict[str, int] = {}
        for index, item in enumerate(self.rounds):
            if item.name is not None and names.setdefault(item.name, index) != index:
                raise ValueError(f"two rounds are named {item.name!r}")
        return tuple(parse(item.prompt, index, names) for index, item in enumerate(self.rounds))


@dataclass(frozen=True, slots=True)
class DeclarativeAgent:
    """An agent made from a file. `source` is the file, or `built in`; `author` is None if the file names none."""

    name: str
    description: str
    author: str | None
    system: str | None
    carry: bool
    prompts: tuple[str, ...]
    templates: tuple[Template, ...]
    options: tuple[GenerationOptions, ...]
    source: str

    @property
    def round_total(self) -> int:
        return len(self.templates)

    async def run(self, ctx: AgentContext) -> AgentResult:
        """Make one llm syscall a round; the result is the last reply."""
        conversation = [Message("system", self.system)] if self.system else []
        opening = len(conversation)
        replies: list[str] = []
        for template, options in zip(self.templates, self.options, strict=True):
            if not self.carry:
                del conversation[opening:]
            conversation.append(Message("user", template.render(ctx.spec.prompt, replies)))
            reply = await ctx.llm(tuple(conversation), options=options)
            conversation.append(Message("assistant", reply.text))
            replies.append(reply.text)
        return {"agent_name": ctx.spec.agent, "result": replies[-1], "rounds": len(replies)}


def parse_agent(data: bytes, source: str) -> DeclarativeAgent:
    """Return the agent that the TOML text `data` declares.

    Raises:
        UsageError: it is too large, not UTF-8, not TOML, or declares no agent; the message is the reason alone.
    """
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"longer than {MAX_FILE_BYTES:,} bytes")
    try:
        declared = AgentFile.model_validate(tomllib.loads(data.decode()))
    except UnicodeDecodeError:
        raise UsageError("not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(one_line(f"not TOML: {error}")) from None
    except ValidationError as error:
        raise UsageError(reason(error)) from None
    return DeclarativeAgent(
        name=declared.name,
        description=declared.description,
        author=declared.author,
        system=declared.system,
        carry=declared.carry,
        prompts=tuple(item.prompt for item in declared.rounds),
        templates=declared.templates(),
        options=tuple(item.options.over(declared.options) for item in declared.rounds),
        source=source,
    )
