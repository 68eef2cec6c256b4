"""The header's text about the cores."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from aios_tui.console.state.view_state import SlotView, ViewState
from aios_tui.console.widgets.header import Header
from engine.cores.port import CoreInfo, SlotState


def drawn(*cores: CoreInfo, width: int = 120, height: int = 2, slots: Sequence[SlotView] = ()) -> str:
    header = Header()
    header.view = ViewState(cores={info.name: info for info in cores}, slots={slot.id: slot for slot in slots})
    return "\n".join("".join(text for text, _ in line).rstrip() for line in header.build(width, height))


UP = CoreInfo("den", True, "qwen3:8b", why="Ollama at den:11434, as configured")
DOWN = CoreInfo("attic", False, None, detail="no answer from attic:11434\x1b[2J")


def test_one_core_says_its_model_and_why_it_was_chosen() -> None:
    assert "● den qwen3:8b  Ollama at den:11434, as configured" in drawn(UP)


def test_several_say_which_are_up_and_what_is_wrong_with_the_others() -> None:
    shown = drawn(UP, DOWN)
    assert "den ●  attic ○  attic: no answer from attic:11434" in shown
    assert "\x1b" not in shown and "no core is up" not in shown


def test_that_none_is_up_is_said_before_the_reasons() -> None:
    other = CoreInfo("den", False, None, detail="no answer from den:11434")
    assert "den ○  attic ○  no core is up; tasks wait  den: no answer" in drawn(other, DOWN)


def test_tasks_do_not_wait_while_a_slot_is_up() -> None:
    other = CoreInfo("den", False, None, detail="no answer from den:11434")
    up, down = SlotView("den/0", "den"), SlotView("attic/0", "attic", SlotState.DOWN)
    assert "den ○  attic ○  den: no answer" in drawn(other, DOWN, slots=[up, down])
    assert "no core is up; tasks wait" in drawn(other, DOWN, slots=[down])


@pytest.mark.parametrize(("width", "height"), [(120, 1), (80, 2), (80, 1), (40, 2)])
def test_the_marks_come_first_where_there_is_little_room(width: int, height: int) -> None:
    assert "den ●  attic ○" in drawn(UP, DOWN, width=width, height=height)
