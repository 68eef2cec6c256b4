"""Tasks as the history and the kernel report them, for the screens that show one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.cores.port import ToolCall
from engine.task import AttemptState, GenerationOptions, TaskFault, TaskRecord, TaskState
from persistence.rows import AttemptRow, TaskDetail, ToolCallRow

START = 1_780_000_000.0
STORY = """# The goose of Kettleby

The **baker** had never met a goose so *determined*.

1. It came on Monday.
2. It came on Tuesday, with `friends`.

> Honk.

| day | geese |
|-----|-------|
| Mon | 1     |
| Tue | 12    |

```python
print("honk " * 12)
```
"""
HOSTILE = "[/foo] [@click=app.quit]x[/] \x1b]0;title\x07\x1b[31mred \u202etext"


class Attempt(AttemptRow):
    """An attempt that ended well after 2.4 s, if `changes` don't say otherwise."""

    def __init__(self, round: int = 1, attempt: int = 1, *, tool_calls: Sequence[ToolCall] = (), **changes: object):
        values: dict[str, Any] = {
            "task": 7,
            "start": 1,
            "state": AttemptState.DONE,
            "slot": "embedded/0",
            "core": "embedded",
            "model": "smollm2:135m",
            "ready_at": START,
            "started_at": START + 0.5,
            "prompt": "Tell me a story about geese.",
            "reply": STORY,
            "tokens_in": 40,
            "tokens_out": 120,
            "decode_s": 2.0,
            "ttft_s": 0.31,
            "service_s": 2.4,
        }
        calls = tuple(ToolCallRow(name=call.name, arguments=dict(call.arguments)) for call in tool_calls)
        super().__init__(**values | {"round": round, "attempt": attempt, "tool_calls": calls} | changes)


class Facts(TaskDetail):
    """A task in the history."""

    def __init__(
        self,
        record: TaskRecord,
        attempts: Sequence[Attempt] = (),
        interruptions: int = 0,
        round_total: int | None = 3,
        starts: int = 1,
    ):
        super().__init__(
            record=record,
            attempts=tuple(attempts),
            interruptions=interruptions,
            round_total=round_total,
            starts=starts,
            asked_priority=record.priority,
            asked_model=None,
            options=GenerationOptions(),
            accepted_run=1,
            ended_run=None,
            priority_changes=(),
        )


def record(id: int = 7, state: TaskState = TaskState.DONE, **changes: object) -> TaskRecord:
    """A task of 3 rounds, which ended 12.9 s after it was submitted."""
    values: dict[str, object] = {
        "id": id,
        "agent": "story_teller",
        "agent_name": "story_teller",
        "prompt": "Tell me a story about geese.",
        "priority": 2,
        "state": state,
        "result": STORY if state is TaskState.DONE else None,
        "rounds": 3,
        "core": "embedded",
        "model": "smollm2:135m",
        "submitted_at": START,
        "started_at": START + 5.7,
        "ended_at": START + 12.9,
        "waiting_s": 5.7,
        "turnaround_s": 12.9,
        "service_s": 7.2,
        "ttft_s": 0.31,
        "tokens_in": 120,
        "tokens_out": 360,
        "tokens_per_s": 60.0,
        "attempts": 4,
        "client": "operator",
    }
    return TaskRecord.model_validate({**values, **changes})


def story(id: int = 7) -> Facts:
    """Three rounds; the second needed two attempts, the third thought first."""
    return Facts(
        record(id),
        (
            Attempt(1, reply="A goose, a baker, a Monday."),
            Attempt(
                2,
                1,
                state=AttemptState.FAILED,
                reply="",
                fault="broken_stream",
                error="the stream ended before its last record",
                prompt="Write the story from this outline: A goose, a baker, a Monday.",
            ),
            Attempt(2, 2, reply="There was a goose.", prompt="Write the story from this outline: A goose, a baker."),
            Attempt(3, prompt="Improve this story. There was a goose.", thinking="Geese say honk. Bakers do not."),
        ),
    )


def failed(id: int = 8, error: str = "model 'qwen3:9b' not found; installed: qwen3:8b") -> Facts:
    """One attempt, which failed for lack of its model."""
    fault = TaskFault("no_model", "qwen3:9b", "embedded")
    return Facts(
        record(id, TaskState.FAILED, error=error, fault=fault, rounds=0, attempts=1, tokens_out=0, tokens_per_s=None),
        (Attempt(state=AttemptState.FAILED, reply="", fault="no_model", error=error, tokens_out=0, ttft_s=None),),
        round_total=1,
    )


def hostile(id: int = 9) -> Facts:
    """A task whose every text means harm."""
    attempt = Attempt(
        prompt=f"{HOSTILE} again", reply=HOSTILE, thinking=HOSTILE, model=HOSTILE, slot=HOSTILE, error=HOSTILE
    )
    bad = Attempt(2, state=AttemptState.FAILED, reply="", error=HOSTILE, fault=HOSTILE)
    changes = {"agent": HOSTILE, "client": HOSTILE, "model": HOSTILE, "core": HOSTILE}
    return Facts(
        record(id, TaskState.FAILED, prompt=HOSTILE, error=HOSTILE, **changes),
        (attempt, bad, Attempt(start=0, state=AttemptState.INTERRUPTED, slot=HOSTILE, error=HOSTILE)),
        interruptions=1,
    )
