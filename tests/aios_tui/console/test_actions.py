"""The key tables: every key is declared once, means one thing on all screens, and is documented."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aios_tui.console import screens
from aios_tui.console.action_context import ActionContext
from aios_tui.console.actions import BY_ID, ELSEWHERE, INPUT, MAIN, MEANINGS
from aios_tui.console.handlers.operator import OPERATIONS
from aios_tui.console.key_docs import TITLES, markdown
from aios_tui.console.screen_keys import INPUT_SCOPES, SCREENS, Use, bindings
from aios_tui.console.screens.base import ConsoleScreen
from aios_tui.console.state.reducer import fold_all
from aios_tui.console.state.view_state import ViewState
from engine.events import TaskAccepted
from engine.task import TaskSpec
from tests.aios_tui.console import scene


def all_screens() -> list[type[ConsoleScreen[Any]]]:
    """Every screen class of the console that declares a scope."""
    for module in pkgutil.iter_modules(screens.__path__):
        importlib.import_module(f"{screens.__name__}.{module.name}")
    found: list[type[ConsoleScreen[Any]]] = []
    todo = list(ConsoleScreen.__subclasses__())
    while todo:
        cls = todo.pop()
        todo.extend(cls.__subclasses__())
        if "SCOPE" in cls.__dict__ and cls.__module__.startswith(screens.__name__):
            found.append(cls)
    return sorted(set(found), key=lambda cls: cls.__name__)


VIEW = fold_all(
    ViewState(now=scene.NOW),
    [
        *scene.whole(),
        TaskAccepted(scene.NOW, 90, TaskSpec(prompt="x", priority=9)),
        TaskAccepted(scene.NOW, 91, TaskSpec(prompt="x", priority=0)),
    ],
)


def test_every_action_has_an_operation_and_every_operation_an_action() -> None:
    assert set(OPERATIONS) == {action.id for action in MAIN if not action.moves}
    assert len(BY_ID) == len(MAIN) + len(ELSEWHERE) + len(INPUT)


def test_a_key_means_one_thing_on_every_screen() -> None:
    """Uses refer to actions, and only text input has actions of its own, so no two actions may share a key."""
    keys = Counter(key for action in (*MAIN, *ELSEWHERE) for key in action.keys)
    assert [key for key, count in keys.items() if count > 1] == []
    own = {action.id for action in INPUT}
    outside = [use.action.id for scope, uses in SCREENS.items() if scope not in INPUT_SCOPES for use in uses]
    assert own.isdisjoint(outside)


def test_an_action_that_screens_describe_differently_has_one_stated_meaning() -> None:
    described: dict[str, set[str]] = {}
    for scope in ("main", *TITLES):
        for use in SCREENS[scope]:
            if scope not in INPUT_SCOPES:
                described.setdefault(use.action.id, set()).add(use.description)
    assert {id_ for id_, texts in described.items() if len(texts) > 1} == set(MEANINGS)


def test_no_screen_uses_a_key_twice() -> None:
    for scope, uses in SCREENS.items():
        ids = Counter(use.action.id for use in uses if not use.only)
        assert [id_ for id_, count in ids.items() if count > 1] == [], scope


def test_every_action_is_used() -> None:
    used = {use.action.id for uses in SCREENS.values() for use in uses}
    assert used == set(BY_ID)


def test_no_module_but_the_table_binds_a_key() -> None:
    console = Path(screens.__file__).parent.parent
    binding = [
        path.relative_to(console).as_posix()
        for path in console.rglob("*.py")
        if re.search(r"\bBinding\(", path.read_text(encoding="utf-8"))
    ]
    assert binding == ["screen_keys.py"]


@pytest.mark.parametrize("screen", all_screens(), ids=lambda screen: screen.__name__)
def test_a_screen_binds_exactly_the_keys_declared_for_it(screen: type[ConsoleScreen[Any]]) -> None:
    declared = bindings(screen.SCOPE)
    assert screen.__dict__["BINDINGS"] == declared
    for use in SCREENS[screen.SCOPE]:
        if use.run.startswith("act(") or use.run.startswith("app.act("):
            assert use.action.id in OPERATIONS, use
        elif use.run:
            assert hasattr(screen, f"action_{use.run.partition('(')[0]}"), use


@pytest.mark.parametrize("screen", all_screens(), ids=lambda screen: screen.__name__)
def test_every_screen_has_help_and_a_way_back(screen: type[ConsoleScreen[Any]]) -> None:
    keys = {key for use in SCREENS[screen.SCOPE] for key in use.action.keys}
    assert keys >= {"escape", "question_mark", "f1"}


def test_the_promised_keys_are_there() -> None:
    keys = {key for action in MAIN for key in action.keys}
    assert keys >= set("nsprxyztiqjkgG123") | {
        "plus", "minus", "enter", "slash", "question_mark", "ctrl+p", "escape", "tab", "up", "down", "pageup",
        "pagedown", "home", "end",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("action", "selected", "live", "reason"),
    [
        ("new", None, False, None),
        ("pause", None, False, "the core is still starting"),
        ("cancel", None, True, "no task is selected here"),
        ("cancel", 6, True, "#6 has already ended"),
        ("cancel", 9, True, None),
        ("retry", 9, True, "#9 has not ended yet"),
        ("retry", 7, True, None),
        ("more_urgent", 91, True, "#91 already has the most urgent priority"),
        ("less_urgent", 90, True, "#90 already has the least urgent priority"),
        ("more_urgent", 90, True, None),
        ("hold", 90, True, None),
        ("hold", 9, True, "#9 has started; only a queued task can be held"),
        ("hold", 6, True, "#6 has already ended"),
        ("open", 6, False, None),
        ("restart", None, True, "the core is running"),
        ("help", None, False, None),
    ],
)
def test_an_action_that_cannot_act_says_why(action: str, selected: int | None, live: bool, reason: str | None) -> None:
    assert BY_ID[action].why_not(ActionContext(VIEW, "queue", selected, live)) == reason


def test_a_core_that_did_not_start_is_the_reason() -> None:
    view = ViewState(trouble="no such model")
    assert BY_ID["pause"].why_not(ActionContext(view)) == "no core is running: no such model"
    assert BY_ID["restart"].why_not(ActionContext(view)) is None


def test_the_docs_are_made_from_the_tables() -> None:
    page = Path(__file__).parents[3] / "docs" / "keys.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run python -m aios_tui.console.key_docs > docs/keys.md"


def test_the_docs_cover_every_screen() -> None:
    assert {screen.SCOPE for screen in all_screens()} <= {"main", *TITLES}
    page = markdown()
    uses: list[Use] = [use for scope in TITLES for use in SCREENS[scope]]
    assert all(use.description in page for use in uses)
    assert all(action.description in page for action in MAIN)
