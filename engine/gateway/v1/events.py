"""What happens, as server-sent events: first what is, then what comes, as it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from engine.events import AttemptProgress, Event
from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Service, service
from engine.task import Task, TaskRecord, TaskSpec

router = APIRouter(prefix="/v1", tags=["v1: events"], responses=PROBLEMS)
Shared = Annotated[Service, Depends(service)]

BEAT_S = 15.0
CAPACITY = 20_000
BATCH = 200
_WORDS: dict[type, str] = {}


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events, until either side leaves"}},
)
async def events(
    shared: Shared,
    task: Annotated[int | None, Query(ge=1, description="Only what is about this task")] = None,
    tokens: Annotated[bool, Query(description="The pieces of the models' streams too")] = False,
    past: Annotated[bool, Query(description="First, events from which the present state can be made")] = True,
) -> StreamingResponse:
    """Follow the kernel. `event:` is the kind, such as `task_accepted`; `data:` a JSON object with its fields.

    A reader that is too slow gets `lost`, and then the present state anew. The stream ends with `end` when the service
    stops.
    """
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    stream = _stream(shared, task, tokens=tokens, past=past)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(shared: Service, task: int | None, *, tokens: bool, past: bool) -> AsyncIterator[str]:
    def chosen(found: Sequence[Event]) -> Iterator[str]:
        """Frames of the events that are asked for, some at a time: others are served between."""
        for start in range(0, len(found), BATCH):
            frames = [
                _frame(kind_of(event), as_json(event))
                for event in found[start : start + BATCH]
                if (tokens or not isinstance(event, AttemptProgress)) and task in (None, getattr(event, "task", None))
            ]
            if frames:
                yield "".join(frames)

    subscription = shared.kernel.subscribe(capacity=CAPACITY)
    leaving = asyncio.ensure_future(shared.leaving.wait())
    try:
        yield ": aios-tui\n\n"
        for text in chosen(shared.kernel.snapshot() if past else ()):
            yield text
        while not subscription.closed and not leaving.done():
            waiter = asyncio.ensure_future(subscription.wait())
            try:
                done, _ = await asyncio.wait({waiter, leaving}, timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiter.cancel()
            if subscription.lost:
                subscription.drain()
                yield _frame("lost", {})
                for text in chosen(shared.kernel.snapshot()):
                    yield text
                continue
            if not done:
                yield ":\n\n"  # a sign of life
            for text in chosen(subscription.drain()):
                yield text
        yield _frame("end", {})
    finally:
        leaving.cancel()
        subscription.close()


def kind_of(event: Event) -> str:
    """`TaskAccepted` as `task_accepted`."""
    kind = type(event)
    if kind not in _WORDS:
        name = kind.__name__
        _WORDS[kind] = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
    return _WORDS[kind]


def as_json(event: Event) -> dict[str, Any]:
    """An event's fields as JSON has them. The task of a `task_ended` is the record that history gives."""
    return {each.name: _value(getattr(event, each.name)) for each in fields(event)}


def _value(value: Any) -> Any:
    if isinstance(value, Task):
        return TaskRecord.of(value).model_dump(mode="json")
    if isinstance(value, TaskSpec):
        return value.model_dump(mode="json", exclude={"query"})
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {each.name: _value(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple | list):
        return [_value(each) for each in value]
    return value


def _frame(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
