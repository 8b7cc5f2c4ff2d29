# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl ca revoke` ends a device at a running manager, within seconds and for good; a certificate that expires ends its session.

The manager's own service and the nodes' own managers.py, in virtual time, with real handshakes; and the commands themselves.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys

import pytest

import dice
from dice.aio.coap import Coap
from dice.coap.resource import Router
from dice.limits import CREDENTIAL_CHECK_MS
from dicectl.errors import CommandError
from dicectl.manager import authorities, authority
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.service import ManagerService
from host_tests.patience import until
from host_tests.ports import free_port
from host_tests.unit import test_device_updates
from host_tests.unit.test_certificates_of_devices import Town as SignedTown
from host_tests.unit.test_certificates_of_devices import certificate
from host_tests.unit.test_device_updates import run
from host_tests.unit.test_raw_keys_of_a_town import refused

SOON_S = 2 * authorities.POLL_S


class Town(SignedTown):
    """A town whose manager looks at its authority."""

    looks = True

    async def start(self):
        await super().start()
        if stored := self.registry.states():
            self.service.manage(stored[0].state, 0)
        elif not self.service.managers:
            self.do("new", group="lamps")
        if self.looks:
            self.service.authorities.use([self.ca])
        await self.service.authorities.begin()
        self.tasks.append(asyncio.ensure_future(self.service.authorities.run()))

    def add(self, name, lifetime_s=None):
        if not name.startswith("signed"):
            return super().add(name)
        return self.begin(*self.made("provision", name, lifetime_s=lifetime_s, groups={"lamps": "sender"}))

    @property
    def state(self):
        return self.service.managers["lamps"].state

    def revoke(self, which):
        return authority.Authority(self.ca).revoke(which, now=self.wall())


@pytest.fixture(autouse=True)
def town(monkeypatch):
    async def look(_, revoked):
        revoked.look()  # virtual time knows no threads

    monkeypatch.setattr(test_device_updates, "Town", Town)
    monkeypatch.setattr(authorities.Authorities, "_look", look)


async def connected(town, node):
    """Return a connection of somebody who has copied the device's file, and a ticket of it."""
    network = town.network.host("thief")
    connection = await dice.connect(("", 0), certificate(node.stored), network=network, timer_ms=1000, tickets=True)
    ticket = connection.session.resumption()
    Coap(connection, Router({}))
    await asyncio.sleep(1)
    assert not connection.ended
    return connection, ticket


def test_a_revoked_device_ends_at_a_running_manager_within_seconds(tmp_path):
    async def scenario(town):
        node, other, raw = town.add("signed-1"), town.add("signed-2"), town.add("raw")
        await asyncio.sleep(15)
        connection, ticket = await connected(town, node)
        epoch, tgk = town.state.epoch, bytes(town.state.tgk)
        town.revoke("signed-1")
        await asyncio.sleep(SOON_S)
        assert connection.ended and node.coap.ended
        assert node.identity not in town.state.members and other.identity in town.state.members
        assert town.state.epoch > epoch and bytes(town.state.tgk) != tgk, "the groups go on with the keys that it has"
        for resume in (None, ticket):
            await refused(town, certificate(node.stored), **({"resume": resume} if resume else {}))
        await asyncio.sleep(100)
        assert set(town.service.kdc.connected) == {other.identity, raw.identity}
        shown = town.do("device", name="signed-1")
        assert shown["revoked"] and shown["groups"] == [] and town.do("device", name="signed-2")["revoked"] is None
        with pytest.raises(CommandError, match="is revoked: dicectl provision replace signed-1"):
            town.do("add", group="lamps", devices=["signed-1"], role="listener")
        assert [entry["device"] for entry in town.registry.audit() if entry["event"] == "certificate-revoked"] == ["signed-1"]

    run(tmp_path, scenario)


def test_it_stays_ended_without_the_authority_and_after_a_restart(tmp_path):
    async def scenario(town):
        node = town.add("signed-1")
        await asyncio.sleep(5)
        town.revoke("signed-1")
        await asyncio.sleep(SOON_S)
        shutil.rmtree(town.ca)
        await asyncio.sleep(SOON_S)
        (problem,) = town.service.authorities.problems()
        assert str(town.ca) in problem
        await refused(town, certificate(node.stored))
        town.ca.mkdir()
        town.looks = False
        town.kill()
        await town.start()
        await refused(town, certificate(node.stored))
        await asyncio.sleep(100)
        assert town.service.kdc.connected == {} and town.state.members == {}

    run(tmp_path, scenario)


def test_what_was_revoked_while_no_manager_ran_is_refused_from_the_start(tmp_path):
    async def scenario(town):
        node = town.add("signed-1")
        await asyncio.sleep(5)
        town.kill()
        town.revoke("signed-1")
        await town.start()
        await refused(town, certificate(node.stored))
        assert town.state.members == {}

    run(tmp_path, scenario)


def test_a_log_that_cannot_be_read_changes_nothing_and_is_read_later(tmp_path):
    """A half of a line is that of an authority that is writing, or was killed; a damaged one is said."""

    async def scenario(town):
        node, other = town.add("signed-1"), town.add("signed-2")
        await asyncio.sleep(5)
        log = town.ca / authority.LOG
        before = log.read_bytes()
        town.revoke("signed-1")
        whole = log.read_bytes()
        unknown = b'{"revoked": ["77"], "at": 1}\n'
        for damaged, is_said in ((whole[:-4], False), (before + b"{}}\n", True), (before + unknown, True)):
            log.write_bytes(damaged)
            await asyncio.sleep(SOON_S)
            assert node.identity in town.state.members and bool(town.service.authorities.problems()) == is_said
        log.write_bytes(whole)
        await asyncio.sleep(SOON_S)
        assert node.identity not in town.state.members and town.service.authorities.problems() == []
        assert set(town.service.kdc.connected) == {other.identity}

    run(tmp_path, scenario)


def test_a_registry_that_fails_delays_the_end_and_ends_nothing_by_half(tmp_path):
    async def scenario(town):
        def fail():
            raise RegistryError("disk I/O error")

        node = town.add("signed-1")
        await asyncio.sleep(5)
        town.registry.before_write = fail
        town.revoke("signed-1")
        await asyncio.sleep(10)
        assert isinstance(town.service.authorities.error, RegistryError) and "the look at authorities" in town.service.troubles()
        assert node.identity in town.state.members and town.registry.public[node.identity].revoked_at is None
        town.registry.before_write = None
        await asyncio.sleep(SOON_S)
        assert town.state.members == {} and town.registry.public[node.identity].revoked_at
        await refused(town, certificate(node.stored))

    run(tmp_path, scenario)


def test_only_the_key_and_the_issuer_that_are_revoked_count(tmp_path):
    async def scenario(town):
        node = town.add("signed-1")
        await asyncio.sleep(5)
        node.cut()
        node.path.unlink()
        node.folder.rmdir()
        node = town.begin(*town.made("replace", "signed-1"))
        await asyncio.sleep(15)
        first, second = authority.Authority(town.ca).list()[1:]
        town.revoke(first["serial"])  # of the key that was replaced
        stranger = tmp_path / "stranger"
        authority.new(stranger, "test", now=town.wall())
        key, _ = authority.public_key(_file(tmp_path, curve_point(node)))
        authority.Authority(stranger).sign(key, "signed-1", ("client",), now=town.wall())
        authority.Authority(stranger).revoke("signed-1", now=town.wall())
        town.service.authorities.use([town.ca, stranger])
        await asyncio.sleep(SOON_S)
        assert node.identity in town.service.kdc.connected and node.identity in town.state.members
        town.revoke(second["serial"])
        await asyncio.sleep(SOON_S)
        assert town.service.kdc.connected == {} and town.state.members == {}
        # The same key, certified again, is still the one of a revoked certificate.
        town.do("wipe", name="signed-1")
        again = authority.Authority(town.ca).sign(key, "signed-1", ("client",), now=town.wall())
        der = again.public_bytes(authority.serialization.Encoding.DER)
        with pytest.raises(CommandError, match="let the device make another key"):
            town.do("provision", name="signed-1", groups={}, point=curve_point(node).hex(), chain=[der.hex()])

    run(tmp_path, scenario)


def curve_point(node):
    from dice.crypto import curve

    return curve.public(bytes.fromhex(node.stored["private"]))


def _file(folder, point):
    path = folder / "point"
    path.write_text(point.hex())
    return path


def test_the_manager_says_that_its_own_certificate_is_revoked(tmp_path):
    async def scenario(town):
        town.revoke("manager.house")
        await asyncio.sleep(SOON_S)
        assert town.service.problems() == ["the certificate of this manager is revoked: dicectl manager certify"]

    run(tmp_path, scenario)


def test_a_session_ends_when_the_certificate_of_its_device_has_expired(tmp_path):
    """Established sessions and tickets, not full handshakes alone; the device stays in the registry and says why."""

    async def scenario(town):
        node, other = town.add("signed-1", 400), town.add("signed-2")
        await asyncio.sleep(15)
        node.cut()  # the KDC keeps one session of each device
        connection, ticket = await connected(town, node)
        await asyncio.sleep(300)
        assert not connection.ended and node.identity in town.service.kdc.connected
        await asyncio.sleep(100 + 2 * CREDENTIAL_CHECK_MS / 1000)
        assert connection.ended and set(town.service.kdc.connected) == {other.identity}
        for resume in (None, ticket):
            await refused(town, certificate(node.stored), **({"resume": resume} if resume else {}))
        assert town.do("device", name="signed-1")["expires"] < town.wall()

    run(tmp_path, scenario)


def test_the_commands_end_a_device_at_a_manager_that_runs(tmp_path):
    def dicectl(*arguments):
        found = subprocess.run([*argv, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout) if "--json" in arguments else found.stdout

    argv, environment = [sys.executable, "-m", "dicectl"], {**os.environ, "DICE_MANAGER": "house.db"}
    dicectl("ca", "new", "home-ca")
    options = ("--new", "--port", str(free_port()), "--host", "127.0.0.1", "--ca", "home-ca", "--json")
    process = subprocess.Popen([*argv, "manager", "run", "house.db", *options], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: "serving" in process.stdout.readline())
        dicectl("group", "new", "lamps")
        dicectl("manager", "certify", "home-ca", "--name", "manager.house")
        signed = ("--group", "lamps", "--key", "certificate", "--ca", "home-ca")
        for name in ("lamp-1", "lamp-2"):
            dicectl("provision", "new", name, *signed, "--to", name)
        dicectl("ca", "revoke", "home-ca", "lamp-1")
        until(lambda: dicectl("provision", "show", "lamp-1", "--json")["revoked"])
        listed = dicectl("provision", "list").splitlines()
        assert "certificate revoked 20" in listed[0] and "no group" in listed[0], listed
        assert "certificate" not in listed[1] and "lamps (listener)" in listed[1]
        assert dicectl("group", "show", "lamps", "--json")["members"] == 1
    finally:
        process.terminate()
        process.communicate()


def test_a_manager_looks_before_it_serves(tmp_path):
    async def scenario(town):
        node = town.add("signed-1")
        await asyncio.sleep(5)
        town.kill()
        town.revoke("signed-1")
        town.registry.opened()
        service = ManagerService(town.registry, tmp_path / "again.db")
        service.authorities.use([town.ca])
        await service.start(5684, "manager", 1000, town.network.unicast("manager", True))
        assert town.registry.public[node.identity].revoked_at and service.managers["lamps"].state.members == {}
        service.close()

    run(tmp_path, scenario)
