"""A fair lock for the prefill phase: one generation at a time has its prompt read, in the order of `acquire`.

llama.cpp reads prompts one after the other anyway. But a generation that waits for that inside llama.cpp gets no
callback, and so cannot be cancelled: with two slots a cancel took seven seconds. One that waits here can leave at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class PrefillQueue:
    """Shared by the threads that generate on one model. `owner` is any object, compared by identity."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    def acquire(self, owner: object, cancelled: Callable[[], bool]) -> bool:
        """Block until `owner` is first: True; or until `cancelled()`, checked at each `wake`: False."""
        with self._changed:
            self._queue.append(owner)
            self._changed.wait_for(lambda: self._queue[0] is owner or cancelled())
            if cancelled():
                self.release(owner)
                return False
            return True

    def release(self, owner: object) -> None:
        """Leave the queue: the prompt is read, or will not be. Idempotent."""
        with self._changed:
            self._queue = deque(waiting for waiting in self._queue if waiting is not owner)
            self._changed.notify_all()

    def wake(self) -> None:
        """Make the waiting threads check their `cancelled`."""
        with self._changed:
            self._changed.notify_all()
