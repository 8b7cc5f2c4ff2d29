# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The pages of a running manager for monitoring, on loopback: /metrics for Prometheus, /healthz and /readyz for probes.

/healthz answers 200 while the manager works, 503 with the reasons otherwise: the registry cannot be written, a part has failed, or
the process does not go on. /readyz answers 200 only while it serves devices; a standby does not.
"""

import threading
import time
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from dicectl.errors import CommandError

LATE_S = 15.0  # without an update: the process hangs


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *_):
        """Do not log requests."""


class HttpServer:
    """Serves what the last update() or failed() has left; its threads access nothing else of the manager."""

    def __init__(self, port, metrics, operation, clock=time.monotonic):
        """`metrics` is a metrics.Metrics, `operation` an operation_metrics.OperationMetrics."""
        self._metrics = metrics
        self._operation = operation
        self._clock = clock
        self._problems = ()
        self._not_ready = ("the manager has not begun to serve",)
        self._updated_s = clock()
        registry = CollectorRegistry()
        registry.register(metrics)
        registry.register(operation)
        self._prometheus = make_wsgi_app(registry)
        try:
            self._server = make_server("127.0.0.1", port, self._answer, _Server, _SilentHandler)
        except OSError as error:
            raise CommandError(f"cannot serve metrics on TCP port {port}: {error.strerror}; choose another with --metrics")
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def update(self, service, problems):
        """Copy the metrics of a service.ManagerService, which serves devices; `problems` are sentences."""
        self._metrics.update(service)
        self._operation.update(service, problems)
        self._problems, self._not_ready, self._updated_s = tuple(problems), (), self._clock()

    def standby(self, text, problems):
        """Note that another manager serves the devices: `text` says which, `problems` what keeps this one from taking its place."""
        self._operation.standby(problems)
        self._problems, self._not_ready, self._updated_s = tuple(problems), (text,), self._clock()

    def failed(self, text):
        """Note that the registry cannot be read."""
        self._problems, self._updated_s = (text,), self._clock()

    def reasons(self, ready):
        """Return why the manager is not healthy, or with `ready` why it does not serve devices: sentences, none if it is."""
        age_s = self._clock() - self._updated_s
        hangs = (f"the manager has not gone on for {age_s:.0f} s",) if age_s > LATE_S else ()
        return [*hangs, *self._problems, *(self._not_ready if ready else ())]

    def _answer(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path in ("/healthz", "/readyz"):
            reasons = self.reasons(path == "/readyz")
            return _text(start_response, "503 Service Unavailable" if reasons else "200 OK", reasons or ["ok"])
        if path in ("/metrics", "/"):
            return self._prometheus(environ, start_response)
        return _text(start_response, "404 Not Found", ["there are /metrics, /healthz and /readyz"])


def _text(start_response, status, lines):
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
    return ["".join(f"{line}\n" for line in lines).encode()]
