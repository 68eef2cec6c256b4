"""The action table is whole: every action does something, has one key of its own, and says when it can't."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from aios_tui.console.actions import ACTIONS, BY_ID, ActionContext
from aios_tui.console.handlers.operator import OPERATIONS
from aios_tui.console.key_docs import markdown
from aios_tui.console.state.reducer import fold_all
from aios_tui.console.state.view_state import ViewState
from engine.events import TaskAccepted
from engine.task import TaskSpec, TaskState
from tests.aios_tui.console import scene

VIEW = fold_all(
    ViewState(now=scene.NOW),
    [
        *scene.whole(),
        TaskAccepted(scene.NOW, 90, TaskSpec(prompt="x", priority=9)),
        TaskAccepted(scene.NOW, 91, TaskSpec(prompt="x", priority=0)),
    ],
)


def test_every_action_has_an_operation_and_every_operation_an_action() -> None:
    assert set(OPERATIONS) == {action.id for action in ACTIONS if not action.moves}
    assert len(BY_ID) == len(ACTIONS)


def test_no_key_means_two_things() -> None:
    keys = Counter(key for action in ACTIONS for key in action.keys)
    assert [key for key, count in keys.items() if count > 1] == []


def test_the_keys_that_were_promised_are_there() -> None:
    shown = {key for action in ACTIONS for key in action.keys}
    assert shown >= set("nsprxyztiqjkgG123") | {
        "plus", "minus", "enter", "slash", "question_mark", "ctrl+p", "escape", "tab", "up", "down", "pageup",
        "pagedown", "home", "end",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("action", "selected", "live", "reason"),
    [
        ("new", None, False, None),
        ("pause", None, False, "the core is still starting"),
        ("cancel", None, True, "no task is selected here"),
        ("cancel", 6, True, "#6 has ended already"),
        ("cancel", 9, True, None),
        ("retry", 9, True, "#9 has not ended yet"),
        ("retry", 7, True, None),
        ("more_urgent", 91, True, "#91 has the most urgent priority already"),
        ("less_urgent", 90, True, "#90 has the least urgent priority already"),
        ("more_urgent", 90, True, None),
        ("hold", 90, True, None),
        ("hold", 9, True, "#9 has started; only a queued task can be held"),
        ("hold", 6, True, "#6 has ended already"),
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


def test_a_situation_knows_the_selected_tasks_state() -> None:
    states = [ActionContext(VIEW, selected=task).selected_state for task in (9, 7, 14, 4_711, None)]
    assert states == [TaskState.RUNNING, TaskState.FAILED, TaskState.QUEUED, None, None]


def test_the_docs_are_made_from_the_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "keys.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run python -m aios_tui.console.key_docs > docs/keys.md"
