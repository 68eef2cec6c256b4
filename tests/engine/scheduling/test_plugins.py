"""Policies of other packages: found by their entry points, refused in one line, never in place of a built-in one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.scheduling import parse_policy, policy_names, registry
from tests.engine.scheduling.test_scheduler import filled

Install = Callable[..., None]

CODE = """
class Newest:
    def __init__(self, level=0.0):
        if level < 0:
            raise ValueError("level is a number from 0 on")
        self._level = level
        self.name = "newest" if not level else f"newest:level={level:g}"

    def rank(self, item):
        return -item.arrival

    def level(self, item):
        return self._level

class Unnamed(Newest):
    def __init__(self):
        self.name = "somebody"

class Rankless(Newest):
    def __init__(self):
        self.name, self._level = "rankless", 0.0

    def rank(self, item):
        return None

class Picky(Newest):
    def __init__(self):
        self.name, self._level = "sick", 0.0

    def rank(self, item):
        return 1 / item.priority

class Painted(Newest):
    def __init__(self):
        self.name, self._level = "sick:\\x1b[2J", 0.0

class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def mute():
    raise Mute

def cancelled():
    import asyncio
    raise asyncio.CancelledError

def broken():
    raise RuntimeError("no\\nway")

def leaves():
    raise SystemExit(3)

def nothing():
    return None
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package of one module, `NAME_plugin`, with these policies; `code` is its source."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(name: str, code: str = CODE, **entries: str) -> None:
        (tmp_path / f"{name}_plugin.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{policy} = {name}_plugin:{factory}" for policy, factory in entries.items()]
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n" + "\n".join(lines))
        registry._plugins.cache_clear()

    registry._plugins.cache_clear()
    yield installed
    registry._plugins.cache_clear()
    for module in [name for name in sys.modules if name.endswith("_plugin")]:
        del sys.modules[module]


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as error:
        parse_policy(text)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_policy_is_added(install: Install) -> None:
    install("mine", newest="Newest")
    assert "newest" in policy_names()
    policy = parse_policy("newest")
    assert policy.name == "newest"
    scheduler = filled("fifo", [5, 5, 5])
    scheduler.switch(policy)
    assert [item.id for item in scheduler.snapshot()] == [2, 1, 0]


def test_it_has_parameters_and_affinity_as_any_other(install: Install) -> None:
    install("mine", newest="Newest")
    assert parse_policy("NEWEST:level=2,affinity=8").name == "newest:level=2,affinity=8"
    assert refusal("newest:speed=1") == "policy 'newest:speed=1': newest has no parameter speed"
    assert refusal("newest:level=-1") == "policy 'newest:level=-1': level is a number from 0 on"


def test_a_built_in_policy_cannot_be_replaced(install: Install) -> None:
    install("mine", fifo="Newest")
    assert type(parse_policy("fifo")).__name__ == "Fifo"
    assert registry.policy_problems() == {"fifo": "mine 1.0: the policy 'fifo' is built in and cannot be replaced"}


def test_two_packages_cannot_have_one_name(install: Install) -> None:
    install("one", newest="Newest")
    install("two", newest="Newest")
    assert refusal("newest") == "one 1.0 and two 1.0: both register the policy 'newest'; uninstall one of them"
    assert "newest" not in policy_names()


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("broken", "RuntimeError: no way"),
        ("leaves", "SystemExit: 3"),
        ("missing", "AttributeError: "),
        ("Picky", "ZeroDivisionError: division by zero"),
        ("Painted", "TypeError: its policy's name has control characters"),
        ("mute", "Mute"),
        ("cancelled", "CancelledError"),
        ("nothing", "AttributeError: "),
        ("Unnamed", "TypeError: its policy has the name 'somebody', which has to begin with 'sick'"),
    ],
)
def test_a_broken_one_is_one_line(install: Install, factory: str, reason: str) -> None:
    install("mine", sick=factory)
    assert refusal("sick").startswith(f"the policy plug-in 'sick' of mine 1.0 is broken: {reason}")
    assert parse_policy("npps").name == "npps", "the others are not affected"


def test_a_rank_that_is_no_number_is_refused(install: Install) -> None:
    install("mine", rankless="Rankless")
    assert refusal("rankless").endswith("is broken: TypeError: its rank is None, which is no number")


def test_a_module_that_cannot_be_imported_is_one_line(install: Install) -> None:
    install("mine", code="import nowhere_to_be_found", sick="Newest")
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in refusal("sick")


def test_a_name_that_no_command_line_could_give_is_a_problem(install: Install) -> None:
    install("mine", **{"Big Name": "Newest"})
    assert registry.policy_problems() == {"Big Name": "mine 1.0: 'Big Name' cannot be the name of a policy"}
