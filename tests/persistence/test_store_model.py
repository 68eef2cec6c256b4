"""Any valid sequence of events, with restarts and kills in between, leaves what a plain model says."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from engine.events import Durable, TaskHeld, TaskReprioritised, TaskRequeued
from engine.task import AttemptState, TaskState
from persistence import History, SqliteStore
from tests.persistence.helpers import accepted, attempt, attempt_ended, ended, started
from tests.profiles import examples

T = TypeVar("T")

LIMIT = 3
ENDS = st.sampled_from([TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED])


@dataclass
class Modelled:
    priority: int
    state: TaskState = TaskState.QUEUED
    starts: int = 0
    interruptions: int = 0
    held: bool = False
    attempts: list[tuple[int, int, int, AttemptState]] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    result: str | None = None

    @property
    def executing(self) -> bool:
        return bool(self.attempts) and self.attempts[-1][3] is AttemptState.EXECUTING

    def end_attempt(self, state: AttemptState) -> None:
        if self.executing:
            self.attempts[-1] = (*self.attempts[-1][:3], state)


class Collected(logging.Handler):
    """Logged errors: the writer must accept every record of a valid sequence."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Histories(RuleBasedStateMachine):
    """Rules give events as a kernel would; each is appended or committed, so that batches of all kinds form."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "history.db"
        self.tasks: dict[int, Modelled] = {}
        self.given: set[int] = set()
        self.clock = 1000.0
        self.logged = Collected()
        logging.getLogger("persistence").addHandler(self.logged)

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    @initialize()
    def begin(self) -> None:
        self.store = SqliteStore(self.path)
        self.do(self.store.open())

    def give(self, event: Durable, *, wait: bool) -> None:
        self.clock += 1
        if wait:
            self.do(self.store.commit([event]))
        else:
            self.store.append(event)  # the loop does not run: what is appended in a row is written in one batch

    def pick(self, data: st.DataObject, *states: TaskState) -> int | None:
        fitting = [key for key, task in self.tasks.items() if task.state in states]
        return data.draw(st.sampled_from(fitting)) if fitting else None

    @rule(count=st.integers(1, 4), priority=st.integers(0, 9))
    def accept(self, count: int, priority: int) -> None:
        ids = [self.store.next_task_id() for _ in range(count)]
        assert not self.given & set(ids)
        self.given |= set(ids)
        self.do(self.store.commit([accepted(key, f"prompt{key} goose", priority=priority) for key in ids]))
        self.tasks |= {key: Modelled(priority) for key in ids}

    @rule(data=st.data(), wait=st.booleans())
    def start(self, data: st.DataObject, wait: bool) -> None:
        key = self.pick(data, TaskState.QUEUED)
        if key is not None:
            task = self.tasks[key]
            task.state, task.starts, task.held = TaskState.RUNNING, task.starts + 1, False
            self.give(started(key), wait=wait)

    @rule(data=st.data(), wait=st.booleans())
    def attempt(self, data: st.DataObject, wait: bool) -> None:
        key = self.pick(data, TaskState.RUNNING)
        if key is None or self.tasks[key].executing:
            return
        task = self.tasks[key]
        number = 1 + sum(each[0] == task.starts for each in task.attempts)
        task.attempts.append((task.starts, 1, number, AttemptState.EXECUTING))
        self.give(attempt(key, number=number), wait=wait)

    @rule(data=st.data(), state=st.sampled_from(list(AttemptState)[1:]), wait=st.booleans())
    def end_attempt(self, data: st.DataObject, state: AttemptState, wait: bool) -> None:
        key = self.pick(data, TaskState.RUNNING)
        if key is not None and self.tasks[key].executing:
            self.tasks[key].end_attempt(state)
            self.give(attempt_ended(key, number=self.tasks[key].attempts[-1][2], state=state), wait=wait)

    @rule(data=st.data(), wait=st.booleans())
    def requeue(self, data: st.DataObject, wait: bool) -> None:
        key = self.pick(data, TaskState.RUNNING)
        if key is not None and not self.tasks[key].executing:
            self.tasks[key].state = TaskState.QUEUED
            self.give(TaskRequeued(self.clock, key, "stopped"), wait=wait)

    @rule(data=st.data(), priority=st.integers(0, 9), wait=st.booleans())
    def reprioritise(self, data: st.DataObject, priority: int, wait: bool) -> None:
        key = self.pick(data, TaskState.QUEUED, TaskState.RUNNING)
        if key is not None:
            task = self.tasks[key]
            self.give(TaskReprioritised(self.clock, key, priority, task.priority), wait=wait)
            task.priority = priority
            task.changes.append(priority)

    @rule(data=st.data(), held=st.booleans(), wait=st.booleans())
    def hold(self, data: st.DataObject, held: bool, wait: bool) -> None:
        key = self.pick(data, TaskState.QUEUED)
        if key is not None:
            self.tasks[key].held = held
            self.give(TaskHeld(self.clock, key, held), wait=wait)

    @rule(data=st.data(), state=ENDS, wait=st.booleans())
    def end(self, data: st.DataObject, state: TaskState, wait: bool) -> None:
        key = self.pick(data, TaskState.QUEUED, TaskState.RUNNING)
        if key is not None and not self.tasks[key].executing:
            task = self.tasks[key]
            task.state, task.result = state, f"result{key} gander" if state is TaskState.DONE else None
            task.held = False
            event = ended(key, state=state, result=task.result)
            event.final.priority = task.priority
            self.give(event, wait=wait)

    @rule()
    def look(self) -> None:
        self.do(self.store.commit([]))
        assert self.logged.lines == []
        self.do(self.compare())

    @rule(cleanly=st.booleans())
    def restart(self, cleanly: bool) -> None:
        self.do(self.store.commit([]))
        if not cleanly:  # as a kill does: nothing more is written, the lock is gone
            assert self.store._writer is not None
            self.store._writer._task.cancel()
            self.store._writer = None
        self.do(self.store.close())
        self.begin()
        self.recover()
        self.recover_again()

    def recover(self) -> None:
        running = {key: task for key, task in self.tasks.items() if task.state is TaskState.RUNNING}
        for task in running.values():
            task.interruptions += 1
            task.end_attempt(AttemptState.INTERRUPTED)
            task.state = TaskState.FAILED if task.interruptions >= LIMIT else TaskState.QUEUED
        found = self.do(self.store.recover(max_interruptions=LIMIT))
        failed = {key for key, task in running.items() if task.state is TaskState.FAILED}
        assert set(found.failed) == failed
        assert found.interrupted == running.keys() - failed

    @precondition(lambda self: not any(task.state is TaskState.RUNNING for task in self.tasks.values()))
    @rule()
    def recover_again(self) -> None:
        found = self.do(self.store.recover(max_interruptions=LIMIT))
        queued = sorted(key for key, task in self.tasks.items() if task.state is TaskState.QUEUED)
        assert [task.id for task in found.queued] == queued
        assert (set(found.interrupted), set(found.failed)) == (set(), set())
        for task in found.queued:
            model = self.tasks[task.id]
            assert (task.priority, task.interruptions, task.held) == (model.priority, model.interruptions, model.held)
            assert (task.started_at, task.attempts, task.spec.prompt) == (None, 0, f"prompt{task.id} goose")

    async def compare(self) -> None:
        async with History(self.path) as history:
            records = {record.id: record for record in await history.list(limit=None)}
            found = {key: (each.state, each.priority, each.result, each.held) for key, each in records.items()}
            assert found == {
                key: (task.state, task.priority, task.result, task.held) for key, task in self.tasks.items()
            }
            for key, task in self.tasks.items():
                detail = await history.show(key)
                assert detail is not None
                assert [(a.start, a.round, a.attempt, a.state) for a in detail.attempts] == task.attempts
                assert [change.priority for change in detail.priority_changes] == task.changes
                assert (detail.starts, detail.interruptions) == (task.starts, task.interruptions)
            counts = await history.counts()
            assert all(counts[state] == sum(task.state is state for task in self.tasks.values()) for state in TaskState)
            assert {record.id for record in await history.search("goose", 999)} == self.tasks.keys()
            done = {key for key, task in self.tasks.items() if task.state is TaskState.DONE}
            assert {record.id for record in await history.search("gander", 999)} == done
            assert await history.check() == []

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                self.look()
                assert self.store._error is None
                self.do(self.store.close())
        finally:
            logging.getLogger("persistence").removeHandler(self.logged)
            self.loop.close()
            self.folder.cleanup()


Histories.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=30, deadline=None)
TestHistories = Histories.TestCase
