# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The pages of a manager for monitoring: /metrics, /healthz and /readyz, from what the manager copied last."""

import contextlib
import random
import socket
import struct
import threading
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from prometheus_client.core import GaugeMetricFamily

from dicectl.errors import CommandError
from dicectl.manager.operating.http_server import CONNECTION_S, CONNECTIONS_MAX, LATE_S, HttpServer
from host_tests.patience import PATIENCE_S, until
from host_tests.ports import free_port
from host_tests.seeds import search


class FakeMetrics:
    """Metrics that raise if a service is None."""

    def __init__(self):
        self.services = []

    def update(self, service):
        self.services.append(service)

    def collect(self):
        if self.services[-1:] == [None]:
            raise ValueError("x")
        return [GaugeMetricFamily("dice_devices", "x", value=3)]


class FakeOperation:
    """Metrics without values."""

    def update(self, *_):
        """Do nothing."""

    standby = update

    def collect(self):
        """There are none."""
        return []


class Site:
    """A server, and the time that it sees."""

    def __init__(self):
        self.now = 100.0
        self.port = free_port(socket.SOCK_STREAM)
        self.server = HttpServer(self.port, FakeMetrics(), FakeOperation(), lambda: self.now)

    def get(self, path):
        """Return (status, text)."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def connect(self, *parts):
        """Open a connection and send the parts; whether the server has taken it is not known yet."""
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        for part in parts:
            with contextlib.suppress(OSError):  # it was closed
                client.sendall(part)
        return client

    def served(self):
        """Return how many connections are open at the server."""
        return len(self.server._server._begun)


def is_ended(client):
    """Wait for the end of a connection; return whether nothing was answered."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


@pytest.fixture
def site():
    site = Site()
    yield site
    site.server.close()


def test_healthy_and_ready_as_long_as_the_manager_goes_on(site):
    assert (site.get("/healthz")[0], site.get("/readyz")) == (200, (503, "the manager has not begun to serve\n"))
    site.server.update(SimpleNamespace(), [])
    assert site.get("/healthz") == site.get("/readyz") == (200, "ok\n")
    assert "dice_devices 3.0" in site.get("/metrics")[1]
    site.now += LATE_S + 1
    assert site.get("/healthz") == site.get("/readyz") == (503, "the manager has not gone on for 16 s\n")
    site.server.update(SimpleNamespace(), [])
    assert site.get("/healthz")[0] == 200


def test_reasons_are_on_the_page(site):
    site.server.update(SimpleNamespace(), ["the registry cannot be written: disk full"])
    assert site.get("/healthz") == site.get("/readyz") == (503, "the registry cannot be written: disk full\n")
    site.server.failed("the registry cannot be read: x")
    assert site.get("/healthz") == (503, "the registry cannot be read: x\n")
    site.server.standby("this is a standby", ["the database is away"])
    assert site.get("/healthz") == (503, "the database is away\n")
    site.server.standby("this is a standby", [])
    assert (site.get("/healthz"), site.get("/readyz")) == ((200, "ok\n"), (503, "this is a standby\n"))
    assert site.get("/else")[0] == 404


def test_a_page_that_fails_costs_its_request(site, capfd):
    site.server.update(None, [])
    assert site.get("/metrics")[0] == 500
    assert site.get("/healthz")[0] == 200
    site.server.update(SimpleNamespace(), [])
    assert site.get("/metrics")[0] == 200


def test_a_port_that_is_taken_is_named(site):
    with pytest.raises(CommandError, match=f"TCP port {site.port}"):
        HttpServer(site.port, FakeMetrics(), FakeOperation())


def test_connections_that_ask_for_nothing_are_few_and_end(site):
    """Any local user could take all descriptors and threads of the manager, with connections that ask for nothing."""
    begun = [(), (b"",), (b"GET /healthz HTTP/1.1\r\n", b"X: "), (b"GET ",)]
    threads = threading.active_count()
    clients = [site.connect(*begun[number % 4]) for number in range(CONNECTIONS_MAX + 4)]
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.enter_context(client)
        assert all(map(is_ended, clients[CONNECTIONS_MAX:]))
        assert site.served() == CONNECTIONS_MAX and threading.active_count() <= threads + CONNECTIONS_MAX
        site.now += CONNECTION_S + 1
        for client in clients[:CONNECTIONS_MAX]:
            with contextlib.suppress(OSError):
                client.sendall(b"x")  # who sends slowly gets no more time
            assert is_ended(client)
        until(lambda: site.served() == 0)
        site.server.update(SimpleNamespace(), [])
        assert site.get("/healthz")[0] == 200
        assert site.served() <= 1


def test_clients_that_go_away_or_send_nonsense_print_nothing(site, capfd):
    site.server.update(SimpleNamespace(), [])

    def play(seed):
        rng = random.Random(seed)
        page = rng.choice((b"/metrics", b"/healthz", b"/else", b"/metrics?name[]=%ff", b"\xff", rng.randbytes(20)))
        whole = rng.choice((b"GET ", b"HEAD ", b"POST ", b"")) + page + b" HTTP/1." + rng.choice((b"0", b"1", b"x")) + b"\r\n"
        whole += rng.choice((b"", b"Content-Length: -1\r\n", b"X: \0\xff\r\n", b"Y: 1\r\n" * 200)) + b"\r\n"
        client = site.connect(whole[: rng.choice((len(whole), rng.randrange(len(whole))))])
        if rng.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets the connection
        client.close()
        until(lambda: site.served() < CONNECTIONS_MAX)
        return {"sent": 1}

    search(play, 100)
    until(lambda: site.served() == 0)
    assert site.get("/healthz")[0] == 200
    assert capfd.readouterr().err == ""
