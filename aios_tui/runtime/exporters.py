"""Pumps one kernel's events through one fold to the exporters that the settings ask for; none by default.

Monitoring must not stop the kernel: an exporter that fails is dropped, and one that falls behind loses events, catches
up from a snapshot and counts the gap.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Iterable, Set
from typing import TYPE_CHECKING, Any, Protocol

from aios_tui import __version__
from engine.errors import UsageError
from engine.telemetry.measurements import Measurement, Measurements

if TYPE_CHECKING:
    from aios_tui.config.settings import Settings
    from engine.kernel import Kernel, Subscription

log = logging.getLogger(__name__)

CAPACITY = 1_000_000
"""Events kept while the fold is busy: a hundred thousand tasks can be accepted in one step."""
SLICE = 1_000
"""Events folded before the loop runs something else."""


class Exporter(Protocol):
    """Exports measurements; must not block."""

    def record(self, measured: Measurement) -> None: ...


class Exports:
    """The exporters that the settings ask for, behind one subscription and one fold.

    `served`: set it before `open` where `/metrics` can be answered; otherwise the setting `metrics` has no effect.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.served = False
        self._measurements = Measurements()
        self._exporters: list[Exporter] = []
        self._prometheus: Any = None
        self._otel: Any = None
        self._following: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Load the libraries and make the exporters; blocks. Raises UsageError when a library is not installed."""
        if self.served and self._settings.metrics:
            needed = ("the setting metrics", "prometheus-client", "metrics")
            module = load_optional("engine.telemetry.prometheus", *needed, {"prometheus_client"})
            self._prometheus = module.PrometheusExporter(version=__version__)
            self._exporters.append(self._prometheus)
        if self._settings.otel:
            needed = ("the setting otel", "the OpenTelemetry SDK", "otel")
            module = load_optional("engine.telemetry.otel", *needed, {"opentelemetry"})
            endpoint = self._settings.otel if isinstance(self._settings.otel, str) else None
            self._otel = module.exporting(endpoint, version=__version__)
            self._exporters.append(self._otel)

    def follow(self, kernel: Kernel) -> None:
        """Follow a kernel; called before it starts, so that no event is missed."""
        if self._exporters:
            subscription = kernel.subscribe(capacity=CAPACITY)
            self._following = asyncio.create_task(self._follow(kernel, subscription), name="export")

    @property
    def exposition(self) -> Any:
        """Prometheus' text as a function of the `Accept` header; None when metrics are off."""
        return None if self._prometheus is None else self._prometheus.exposition

    async def close(self) -> None:
        """Fold the last events of a stopped kernel and send them. Takes 8 s at most. Idempotent."""
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
                lost, over = subscription.lost, subscription.closed  # closed before the drain: no event can follow
                events = subscription.drain()
                if lost:
                    self._record(self._measurements.catch_up(kernel.snapshot()))
                    continue
                for start in range(0, len(events), SLICE):
                    for event in events[start : start + SLICE]:
                        self._record(self._measurements.fold(event))
                    await asyncio.sleep(0)
        finally:
            subscription.close()

    def _record(self, measurements: Iterable[Measurement]) -> None:
        """Give measurements to every exporter; one that fails gets no more."""
        for measured in measurements:
            for exporter in list(self._exporters):
                try:
                    exporter.record(measured)
                except Exception:
                    log.exception("%s is off from now on", type(exporter).__name__)
                    self._exporters.remove(exporter)


def load_optional(module: str, feature: str, package: str, extra: str, tops: Set[str]) -> Any:
    """Import a module that needs an optional package, whose modules are `tops`.

    Raises UsageError with one line on how to get the package; the name aios-tui is not on the package index.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in tops:
            how = f"run `make install` in the checkout, or install the wheel with its extra `{extra}`"
            raise UsageError(f"{feature} needs {package}: {how}") from None
        raise
