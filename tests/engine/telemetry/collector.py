"""An OTLP/HTTP collector of the tests' own: takes protobuf on /v1/traces and /v1/metrics, and keeps what it decodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.waiting import PATIENCE_S


class Collector:
    """`url` is its base address. `silent`: it takes requests, and never answers."""

    def __init__(self, *, silent: bool = False) -> None:
        self.spans: list[Any] = []
        self.metrics: list[Any] = []
        self.resource: dict[str, str] = {}
        self.headers: list[dict[str, str]] = []
        self.raw = b""
        self.came = threading.Event()
        self._release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.came.set()
                if silent:
                    outer._release.wait(PATIENCE_S)
                    return
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.take(self.path, body, dict(self.headers))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        self.raw += body
        self.headers.append({name.lower(): value for name, value in headers.items()})
        if path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource |= {each.key: each.value.string_value for each in group.resource.attributes}
                self.spans += [span for scope in group.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for found in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics += [metric for scope in found.scope_metrics for metric in scope.metrics]
        else:
            raise AssertionError(path)

    @contextmanager
    def running(self) -> Iterator[Collector]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._release.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join(PATIENCE_S)
