"""Who may have the embedded model read a prompt: one at a time, in the order of asking.

llama.cpp reads prompts one after the other anyway, but whoever waits for that inside it gets no callback until it is
their turn, and so could not be cancelled: with two slots a cancel was seen to take seven seconds. Those who wait here
can leave at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class ReadingTurns:
    """Shared by the threads that generate on one model. `who` is any object, compared by identity."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    def take(self, who: object, gave_up: Callable[[], bool]) -> bool:
        """Block until it is `who`'s turn: True; or until `gave_up()`, which is looked at after each `wake`: False."""
        with self._changed:
            self._queue.append(who)
            self._changed.wait_for(lambda: self._queue[0] is who or gave_up())
            if gave_up():
                self.leave(who)
                return False
            return True

    def leave(self, who: object) -> None:
        """The prompt is read, or will not be. Any number of times."""
        with self._changed:
            self._queue = deque(waiting for waiting in self._queue if waiting is not who)
            self._changed.notify_all()

    def wake(self) -> None:
        """Have those who wait look whether they gave up."""
        with self._changed:
            self._changed.notify_all()
