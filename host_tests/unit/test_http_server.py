# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The pages of a manager for monitoring: /metrics, /healthz and /readyz, from what the manager copied last."""

import socket
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from prometheus_client.core import GaugeMetricFamily

from dicectl.errors import CommandError
from dicectl.manager.operating.http_server import LATE_S, HttpServer
from host_tests.ports import free_port


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
