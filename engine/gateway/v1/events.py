"""Stream kernel events over SSE: a snapshot, then live events."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from engine.events import AttemptProgress, Event
from engine.gateway.errors import PROBLEMS
from engine.gateway.service import Service, Shared
from engine.task import Task, TaskRecord, TaskSpec

router = APIRouter(prefix="/v1", tags=["v1: events"], responses=PROBLEMS)

BEAT_S = 15.0
CAPACITY = 20_000
BATCH = 200


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events, until either side leaves"}},
)
async def events(
    shared: Shared,
    task: Annotated[int | None, Query(ge=1, description="Only events of this task")] = None,
    tokens: Annotated[bool, Query(description="Include the pieces of model streams (attempt_progress)")] = False,
    past: Annotated[bool, Query(description="Begin with events that restate the present state")] = True,
) -> StreamingResponse:
    """Stream events. `event:` is the kind, such as `task_accepted`; `data:` is a JSON object with its fields.

    A reader that falls behind gets `lost`, then events that restate the present state. The stream ends with `end` when
    the service stops.
    """
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    stream = _stream(shared, task, tokens=tokens, past=past)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(shared: Service, task: int | None, *, tokens: bool, past: bool) -> AsyncIterator[str]:
    def frames_of(found: Sequence[Event]) -> Iterator[str]:
        """Yield frames of the wanted events in batches, so that other requests are served between."""
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
        for text in frames_of(shared.kernel.snapshot() if past else ()):
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
                for text in frames_of(shared.kernel.snapshot()):
                    yield text
                continue
            if not done:
                yield ":\n\n"  # keep-alive
            for text in frames_of(subscription.drain()):
                yield text
        yield _frame("end", {})
    finally:
        leaving.cancel()
        subscription.close()


def kind_of(event: Event) -> str:
    """Return an event's kind: `task_accepted` for `TaskAccepted`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def as_json(event: Event) -> dict[str, Any]:
    """Return an event's fields as JSON values. `final` of a `task_ended` is the record that the history gives."""
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
