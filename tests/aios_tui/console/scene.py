"""A scene that tests and screenshots draw: events as a kernel gives them, at fixed times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from engine import events as e
from engine.cores.port import CoreInfo, ModelInfo, SlotState, Usage
from engine.task import AttemptState, KernelState, Task, TaskFault, TaskSpec, TaskState

NOW = datetime(2026, 3, 14, 14, 2, 30).timestamp()
PROMPTS = (
    ("story_teller", "Tell me a funny story about a goose who wanted to be mayor of Kettleby", 2),
    ("tech_support_agent", "My printer prints everything twice, and the second copy is in French", 0),
    ("summarise", "Summarise the minutes of the harbour committee in three sentences", 5),
    ("translate", "Übersetze ins Deutsche: the tide waits for nobody, least of all for the ferry", 5),
    ("chat", "What is the difference between a mutex and a semaphore?", 7),
    ("chat", "日本の首都はどこですか。そして最大の都市は？", 4),
    ("story_teller", "👩‍👩‍👧 and a 🐢 cross the Sahara 🇩🇪 on a borrowed bicycle", 9),
    ("chat", "מה השעה עכשיו בתל אביב?", 5),
    ("chat", "Why is the sky blue, in one paragraph for a child of six", 3),
    ("summarise", "[bold]Not markup[/bold] and [/foo] neither, nor \x1b]52;c;aGk=\x07 a clipboard", 6),
)
STORY = (
    "Once upon a time in the village of Kettleby there lived a goose called Margaret, who had opinions. She had "
    "opinions about bread, about the weather, and above all about the way the village was run. One morning she "
    "waddled into the town hall and announced, in the clear voice of somebody who has practised in front of a pond, "
    "that she would stand for mayor. The clerk looked for a rule against it and found none, and the baker, who had "
    "never met a goose so determined,"
)
LACKING = "model 'qwen3:9b' not found; installed: qwen3:8b"
LACKS_MODEL = TaskFault("no_model", "qwen3:9b", "ollama")


def queued(count: int = 12, *, first: int = 13, at: float = NOW - 192) -> Iterator[e.Event]:
    """`count` tasks accepted a few seconds apart."""
    for n in range(count):
        agent, prompt, priority = PROMPTS[n % len(PROMPTS)]
        spec = TaskSpec(agent=agent, prompt=prompt, priority=priority, client="nightly" if n % 4 == 2 else None)
        yield e.TaskAccepted(at + n * 7, first + n, spec)


def up(slots: int = 2, *, policy: str = "npps") -> Iterator[e.Event]:
    """A kernel that runs, with one healthy core."""
    yield e.KernelStateChanged(NOW - 900, KernelState.RUNNING)
    yield e.PolicyChanged(NOW - 900, policy, None)
    for n in range(slots):
        yield e.SlotChanged(NOW - 900, f"ollama/{n}", "ollama", SlotState.UP, "")
    model = ModelInfo(
        "qwen3:8b", 5_200_000_000, True, 6_100_000_000, 6_100_000_000, expires_at=NOW + 252, context_length=8192
    )
    yield e.CoreChanged(
        NOW - 1,
        CoreInfo(
            "ollama", True, "qwen3:8b", (model,), "0.35.1", "http://127.0.0.1:11434", "auto: it answers and has a model"
        ),
    )


def ended(
    id: int,
    state: TaskState,
    ago: float,
    *,
    text: str,
    priority: int = 5,
    agent: str = "chat",
    fault: TaskFault | None = None,
) -> e.TaskEnded:
    """A task's end, `ago` seconds before NOW."""
    at = NOW - ago
    task = Task(id, TaskSpec(prompt=f"prompt of {id}", agent=agent, priority=priority), at - 60, priority)
    task.state, task.started_at, task.ended_at = state, at - 12.9, at
    task.rounds, task.attempts, task.tokens_out, task.decode_s = 3, 3, 720, 12.4
    if state is TaskState.DONE:
        task.result = text
    else:
        task.error, task.fault = text, fault
    return e.TaskEnded(at, id, state, task)


def ends() -> Iterator[e.Event]:
    """Eight tasks that have ended, of every kind."""
    yield ended(1, TaskState.DONE, 700, text="A mutex has an owner; a semaphore only counts.")
    yield ended(2, TaskState.CANCELLED, 610, text="cancelled by the operator", priority=8, agent="translate")
    yield ended(3, TaskState.DONE, 540, text="東京です。最大の都市も東京です。", agent="translate")
    yield ended(4, TaskState.DONE, 300, text="[/foo] is not markup, and \x1b[2J clears nothing")
    yield ended(5, TaskState.DONE, 200, text="Three sentences.\nAbout the harbour.\nAnd the ferry.", agent="summarise")
    yield ended(6, TaskState.DONE, 110, text="The goose of Kettleby never lost an election.", agent="story_teller")
    yield ended(7, TaskState.FAILED, 50, text=LACKING, priority=3, fault=LACKS_MODEL)
    yield ended(8, TaskState.DONE, 19, text="Turn it off and on again, then feed it to a goose.", priority=0)


def streaming(task: int, slot: str, *, ago: float = 12.4, text: str = STORY, tokens: int = 104) -> Iterator[e.Event]:
    """A task that is in its second round, `text` having come."""
    at = NOW - ago
    spec = TaskSpec(agent="story_teller", prompt="Tell me a story", priority=2)
    yield e.TaskAccepted(at - 80, task, spec)
    yield e.TaskStarted(at - 20, task, task, 3)
    yield e.AttemptStarted(at - 20, task, 1, 1, slot, "ollama", "qwen3:8b", at - 80, "Tell me a story")
    yield e.AttemptEnded(at, task, 1, 1, slot, AttemptState.DONE, "qwen3:8b", "A goose.", usage=Usage(20, 80))
    yield e.AttemptStarted(at, task, 2, 1, slot, "ollama", "qwen3:8b", at, "Go on")
    yield e.AttemptProgress(at + 0.31, task, 2, 1, slot, "thinking", "A goose, then. What does she want?", 9)
    words = text.split(" ")
    for n, word in enumerate(words):
        when = at + 0.4 + (ago - 0.5) * n / len(words)
        yield e.AttemptProgress(when, task, 2, 1, slot, "text", f"{word} ", 1)
    yield e.AttemptProgress(at + ago - 0.05, task, 2, 1, slot, "text", "", max(0, tokens - len(words) - 9))


def whole() -> list[e.Event]:
    """All of it: a queue, a stream, an idle slot, results."""
    return [
        *up(),
        *ends(),
        *streaming(9, "ollama/0"),
        *queued(),
    ]
