"""What leaves the program for monitoring: Prometheus' text, OpenTelemetry's spans and metrics. Off by default."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from aios_tui import __version__
from engine.errors import UsageError
from engine.events import Event

if TYPE_CHECKING:
    from aios_tui.config.settings import Settings
    from engine.kernel import Kernel, Subscription

log = logging.getLogger(__name__)

CAPACITY = 1_000_000
"""Events that may wait: a hundred thousand tasks can be accepted in one step."""
SLICE = 1_000
"""Events folded before others on the loop get a turn."""


class Fold(Protocol):
    """Takes events one by one."""

    def fold(self, event: Event) -> None: ...

    def catch_up(self, snapshot: Iterable[Event]) -> None:
        """Events were missed; this is the kernel's present state."""


class Exports:
    """The exporters that the settings ask for, and the one subscription that they share.

    `served`: set before `open` by whoever can answer `/metrics`; without it that setting asks for nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.served = False
        self._folds: list[Fold] = []
        self._prometheus: Any = None
        self._otel: Any = None
        self._following: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Make what is asked for. Blocks while libraries load. Raises UsageError: one is not installed."""
        if self.served and self._settings.metrics:
            module = _load("engine.telemetry.prometheus", "metrics", "prometheus-client", "prometheus_client")
            self._prometheus = module.PrometheusFold(version=__version__)
            self._folds.append(self._prometheus)
        if self._settings.otel:
            module = _load("engine.telemetry.otel", "otel", "the OpenTelemetry SDK", "opentelemetry")
            endpoint = self._settings.otel if isinstance(self._settings.otel, str) else None
            self._otel = module.exporting(endpoint, version=__version__)
            self._folds.append(self._otel)

    def follow(self, kernel: Kernel) -> None:
        """Follow a kernel that has not started yet, so that nothing is missed."""
        if self._folds:
            subscription = kernel.subscribe(capacity=CAPACITY)
            self._following = asyncio.create_task(self._follow(kernel, subscription), name="export")

    @property
    def exposition(self) -> Any:
        """The function that gives Prometheus' text for an `Accept` header; None when that is off."""
        return None if self._prometheus is None else self._prometheus.exposition

    async def close(self) -> None:
        """Fold what is left of a kernel that has stopped, and send it. Bounded in time; idempotent."""
        following, self._following = self._following, None
        if following is not None:
            _, left = await asyncio.wait({following}, timeout=5)
            for each in left:
                each.cancel()
        otel, self._otel = self._otel, None
        if otel is not None:
            await otel.close()

    async def _follow(self, kernel: Kernel, subscription: Subscription) -> None:
        try:
            over = False
            while not over:
                await subscription.wait()
                lost, over = subscription.lost, subscription.closed  # closed before it was drained: there is no more
                events = subscription.drain()
                if lost:
                    self._each("catch_up", kernel.snapshot())
                    continue
                for start in range(0, len(events), SLICE):
                    for event in events[start : start + SLICE]:
                        self._each("fold", event)
                    await asyncio.sleep(0)
        finally:
            subscription.close()

    def _each(self, method: str, argument: Any) -> None:
        """A fold that fails is left out from then on: monitoring must not stop what it watches."""
        for fold in list(self._folds):
            try:
                getattr(fold, method)(argument)
            except Exception:
                log.exception("%s is off from now on", type(fold).__name__)
                self._folds.remove(fold)


def _load(module: str, extra: str, package: str, top: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == top:
            raise UsageError(f"the setting {extra} needs {package}: pip install 'aios-tui[{extra}]'") from None
        raise
