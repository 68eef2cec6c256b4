"""The catalogue of agents: the built-in ones, and the user's own TOML files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from engine.agents.declarative import DeclarativeAgent, parse_agent
from engine.agents.query import QUERY_AGENT, QueryAgent
from engine.errors import UsageError
from engine.sanitise import one_line
from engine.wording import did_you_mean

BUILT_IN = "built in"
_QUERY = QueryAgent()


class AgentCatalogue:
    """Agents by name. A user's agent takes precedence over a built-in one of the same name; see its `source`.

    `author/name` finds an agent whose file names that author, or names none. The built-in agents name none, so
    `example/story_teller` finds the built-in `story_teller`, even beside a user's own by another author.
    The kernel's own `kernel/query`, which runs clients' llm calls, is found by that name, but not listed.
    """

    def __init__(self, built_in: Iterable[DeclarativeAgent], user: Iterable[DeclarativeAgent] = ()) -> None:
        self._layers: tuple[Mapping[str, DeclarativeAgent], ...] = (
            {agent.name: agent for agent in user},
            {agent.name: agent for agent in built_in},
        )

    def replace(self, other: AgentCatalogue) -> None:
        """Replace all agents with those of `other`. Accepted tasks keep the agents they were accepted with."""
        self._layers = other._layers

    def names(self) -> list[str]:
        """The plain names, sorted."""
        return sorted({name for layer in self._layers for name in layer})

    def agents(self) -> list[DeclarativeAgent]:
        """Return the agent that each plain name finds, in the order of `names()`."""
        return [self.find(name) for name in self.names()]

    def get(self, name: str) -> DeclarativeAgent | QueryAgent:
        """Return the agent called `name`, given plain or as `author/name`.

        Raises:
            UsageError: there is none; the message suggests near names.
        """
        return _QUERY if name == QUERY_AGENT else self.find(name)

    def find(self, name: str) -> DeclarativeAgent:
        """Like `get`, but among the listed agents only."""
        author, _, plain = name.rpartition("/")
        found = [layer[plain] for layer in self._layers if plain in layer]
        for agent in found:
            if not author or agent.author in (None, author):
                return agent
        shown = one_line(name, 80)
        if found:
            raise UsageError(f"unknown agent {shown!r}: {plain!r} is by {found[0].author!r}")
        raise UsageError(f"unknown agent {shown!r}: {did_you_mean(plain, self.names(), listed=20)}")


def load_catalogue(user_folder: Path | None) -> tuple[AgentCatalogue, list[str]]:
    """Load the built-in agents and every `*.toml` in `user_folder`, which need not exist.

    Returns the catalogue, and a line for each file that cannot be used: its name and the reason. Blocks on file reads.
    """
    built_in = [
        parse_agent(item.read_bytes(), BUILT_IN)
        for item in files("engine.agents").joinpath("builtin").iterdir()
        if item.name.endswith(".toml")
    ]
    user: dict[str, DeclarativeAgent] = {}
    problems: list[str] = []
    for path in _toml_files(user_folder, problems):
        try:
            with path.open("rb") as file:
                agent = parse_agent(file.read(1 << 20), str(path))
        except UsageError as error:
            problems.append(one_line(f"agent file {path}: {error}"))
        except OSError as error:
            problems.append(one_line(f"agent file {path}: {error.strerror or error}"))
        else:
            first = user.setdefault(agent.name, agent)
            if first is not agent:
                problems.append(
                    f"agent file {path}: {Path(first.source).name} declares {agent.name!r} too, and comes first"
                )
    return AgentCatalogue(built_in, user.values()), problems


def _toml_files(folder: Path | None, problems: list[str]) -> list[Path]:
    if folder is None:
        return []
    try:
        # A pipe or device would hang a read, so only what is a file in the end is opened.
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml" and path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems.append(one_line(f"agents folder {folder}: {error.strerror or error}"))
        return []
