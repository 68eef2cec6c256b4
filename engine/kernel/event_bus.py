"""Publish events: one publisher, any number of bounded subscriptions."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Self

from engine.events import Event


class Subscription:
    """The events for one reader, from the moment it subscribed.

    A reader that falls more than `capacity` events behind loses its unread events, and `lost` is set. It then has to
    start again from a fresh snapshot of the kernel.
    """

    __slots__ = ("_bus", "_capacity", "_events", "_wake", "closed", "lost")

    def __init__(self, bus: EventBus, capacity: int) -> None:
        self._bus = bus
        self._capacity = capacity
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.lost = False
        self.closed = False

    def drain(self) -> list[Event]:
        """The events since the last call, oldest first, without waiting. Clears `lost`."""
        events = list(self._events)
        self._events.clear()
        self.lost = False
        if not self.closed:
            self._wake.clear()
        return events

    async def wait(self) -> None:
        """Wait until there are events to drain, or the subscription is closed."""
        await self._wake.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event; ends when the subscription is closed and read to its end."""
        await self.wait()
        if not self._events:
            raise StopAsyncIteration
        event = self._events.popleft()
        if not self._events and not self.closed:
            self._wake.clear()
        return event

    def close(self) -> None:
        """Receive no more events. Those received before can still be drained."""
        self.closed = True
        self._bus.forget(self)
        self._wake.set()

    def offer(self, event: Event) -> None:
        if len(self._events) >= self._capacity:
            self._events.clear()
            self.lost = True
        self._events.append(event)
        self._wake.set()


class EventBus:
    """Gives each event to every subscription, without waiting for readers."""

    __slots__ = ("_subscriptions",)

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def subscribe(self, capacity: int) -> Subscription:
        subscription = Subscription(self, capacity)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def publish(self, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription.offer(event)

    def close(self) -> None:
        for subscription in list(self._subscriptions):
            subscription.close()
