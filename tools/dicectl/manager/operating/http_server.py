# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The pages of a running manager for monitoring, on loopback: /metrics for Prometheus, /healthz and /readyz for probes.

/healthz answers 200 while the manager works, 503 with the reasons otherwise: the registry cannot be written, a part has failed, or
the process does not go on. /readyz answers 200 only while it serves devices; a standby does not.
"""

import contextlib
import socket
import sys
import threading
import time
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from dicectl.errors import CommandError

LATE_S = 15.0  # without an update: the process hangs
CONNECTIONS_MAX = 8  # at once; others are closed: every local user can open some
CONNECTION_S = 10.0  # for the request and its answer together


class _Server(ThreadingMixIn, WSGIServer):
    """Serves a few connections at once, each for a limited time: descriptors and threads are left for the manager."""

    daemon_threads = True
    request_queue_size = 64  # with 5, a client beside others waits a second for the system to try again

    def __init__(self, address, handler, clock):
        self._clock = clock
        self._begun = {}  # when each connection was accepted, by its socket
        super().__init__(address, handler)

    def process_request(self, request, client_address):
        """Serve a connection in a thread, or close it if there are too many."""
        if len(self._begun) >= CONNECTIONS_MAX:
            self.shutdown_request(request)
            return
        self._begun[request] = self._clock()
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        """Close a connection."""
        super().shutdown_request(request)
        self._begun.pop(request, None)

    def service_actions(self):
        """End the connections whose time is over, which serve_forever() asks for twice a second."""
        for request, begun_s in self._begun.copy().items():
            if self._clock() - begun_s > CONNECTION_S:
                with contextlib.suppress(OSError):  # it is closed already
                    request.shutdown(socket.SHUT_RDWR)  # its thread sees the end, and closes it

    def handle_error(self, request, client_address):
        """Print what is wrong here, but nothing of a client that goes away: it could fill the log."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


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
            self._server = _Server(("127.0.0.1", port), _SilentHandler, clock)
        except OSError as error:
            raise CommandError(f"cannot serve metrics on TCP port {port}: {error.strerror}; choose another with --metrics")
        self._server.set_app(self._answer)
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
