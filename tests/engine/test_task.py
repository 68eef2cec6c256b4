"""Validation of task specs, and task records."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.llm_query import MAX_DEPTH, clean_json
from engine.task import GenerationOptions, Task, TaskRecord, TaskSpec, TaskState


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": "   \n"},
        {"prompt": "p", "priority": 10},
        {"prompt": "p", "priority": -1},
        {"prompt": "p", "agent": ""},
        {"prompt": "p", "deadline": 0},
        {"prompt": "p", "colour": "red"},
        {"prompt": "p", "options": {"top_q": 1}},
        {"prompt": "p", "options": {"max_tokens": 0}},
        {"prompt": "x" * 1_048_577},
    ],
)
def test_what_is_no_task_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TaskSpec.model_validate(fields)


def test_a_prompt_is_cleaned_at_the_border() -> None:
    spec = TaskSpec(prompt="line one\r\nline\x1b[2J two", client="evil\x1b]0;title\x07\nclient")
    assert spec.prompt == "line one\nline�[2J two"
    assert spec.client == "evil�]0;title� client"


def test_a_trace_row_needs_no_prompt() -> None:
    assert TaskSpec(input_tokens=374, output_tokens=44).prompt == ""


def test_options_of_the_task_come_before_the_agents() -> None:
    asked = GenerationOptions(temperature=0.9)
    assert asked.over(GenerationOptions(temperature=0.1, max_tokens=64)) == GenerationOptions(
        temperature=0.9, max_tokens=64
    )


def test_a_record_derives_its_durations() -> None:
    spec = TaskSpec(prompt="p", agent="example/story_teller")
    task = Task(7, spec, 100.0, 3)
    record = TaskRecord.of(task)
    assert (record.agent, record.agent_name, record.priority) == ("story_teller", "example/story_teller", 3)
    assert (record.waiting_s, record.turnaround_s, record.tokens_per_s) == (None, None, None)
    task.state, task.started_at, task.ended_at = TaskState.DONE, 101.5, 104.0
    task.attempts, task.tokens_out, task.decode_s, task.service_s = 1, 20, 2.0, 2.5
    record = TaskRecord.of(task)
    assert (record.waiting_s, record.turnaround_s, record.tokens_per_s, record.service_s) == (1.5, 4.0, 10.0, 2.5)


@pytest.mark.parametrize("levels", [90, 300, 100_000])
def test_json_of_clients_is_refused_where_it_is_nested_too_deep(levels: int) -> None:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    if levels < MAX_DEPTH:
        assert clean_json(value) == value
    else:
        with pytest.raises(ValueError, match="nested more than 100 levels deep"):
            clean_json(value)
