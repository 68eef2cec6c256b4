"""The helpers of waiting.py, and the rule that no test has a limit of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S, until, wait_until, within

TESTS = Path(__file__).parent
OWN_RULES = {
    "engine/gateway/aios/sdk_client.py": "runs under another Python, without this package",
    "engine/testing/test_virtual_clock.py": "its time is virtual",
    "persistence/test_activity.py": "gives a thread time to begin a read; the test holds without it, too",
}


RELEVANT = re.compile(r"timeout|wait_for|sleep")


def own_limits(source: str) -> Iterator[tuple[int, float]]:
    """The line and seconds of each time-out from one second to `PATIENCE_S`, and of each sleep outside of a loop."""
    tree = ast.parse(source)
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.While | ast.For | ast.AsyncFor)]
    in_loops = {id(inner) for loop in loops for inner in ast.walk(loop)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        limits = [keyword.value for keyword in node.keywords if keyword.arg == "timeout"]
        limits += node.args[:1] if function == "timeout" else node.args[1:2] if function == "wait_for" else []
        for seconds in map(number, limits):
            if 1 <= seconds < PATIENCE_S:
                yield node.lineno, seconds
        if function == "sleep" and id(node) not in in_loops and node.args and (seconds := number(node.args[0])) > 0:
            yield node.lineno, seconds


def number(node: ast.expr) -> float:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int | float) else 0.0


def impatient() -> dict[str, list[tuple[int, float]]]:
    paths = {path.relative_to(TESTS).as_posix(): path for path in TESTS.rglob("*.py")}
    sources = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    found = {name: list(own_limits(source)) for name, source in sources.items() if RELEVANT.search(source)}
    return {name: limits for name, limits in found.items() if limits and name not in OWN_RULES}


def test_limits_are_sized_for_a_slow_machine() -> None:
    assert impatient() == {}


def test_own_limits_are_found() -> None:
    assert list(own_limits("asyncio.timeout(20)\nwait_for(x, 10)\nrun(timeout=5.5)\ntime.sleep(0.1)")) == [
        (1, 20),
        (2, 10),
        (3, 5.5),
        (4, 0.1),
    ]
    assert not list(own_limits("wait(x, timeout=0.05)\nasyncio.sleep(0)\nwhile busy:\n    time.sleep(0.01)"))


async def test_a_wait_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"^waited 0.01 s in vain for the end of the world$"):
        await until(lambda: False, "the end of the world", patience_s=0.01)
    with pytest.raises(AssertionError, match=r"^waited 0 s in vain for a miracle$"):
        wait_until(lambda: False, "a miracle", patience_s=0)
    with pytest.raises(AssertionError, match=r"^waited 0.01 s in vain for Godot$"):
        async with within("Godot", patience_s=0.01):
            await until(lambda: False)


async def test_a_time_out_of_the_program_is_not_taken_for_ours() -> None:
    with pytest.raises(TimeoutError, match="the core is slow"):
        async with within("anything"):
            raise TimeoutError("the core is slow")
