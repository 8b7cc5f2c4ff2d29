# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Devices with certificates of a local authority beside those with other keys: the manager's own service, in virtual time."""

import asyncio
import json
import os

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import dice
from dice.aio.coap import Coap
from dice.coap.resource import Router
from dice.crypto import curve
from dice.dtls.kx_cert import Certificate
from dice.dtls.kx_rpk import RawPublicKey
from dice.x509.chain import Trust
from dicectl.cli import signing
from dicectl.errors import CommandError
from dicectl.manager import authority
from dicectl.manager.registry import own_keys
from host_tests.unit import test_device_updates
from host_tests.unit.test_device_updates import run
from host_tests.unit.test_provision_command import manager
from host_tests.unit.test_raw_keys_of_a_town import Town as RawTown
from host_tests.unit.test_raw_keys_of_a_town import refused

__all__ = ["manager"]


class Town(RawTown):
    """A town with an authority; devices that are named "signed..." have certificates."""

    async def start(self):
        self.ca = self.folder / "ca"
        own_keys.private(self.registry)
        if not self.ca.exists():
            self.create_ca()
            await super().start()
            chain, anchor = signing.sign(self.ca, own_keys.point(self.registry), "manager.house", "server", now=self.wall())
            self.do("certify", chain=chain, anchors=[anchor])
            self.kill()
        await super().start()

    def create_ca(self):
        authority.new(self.ca, "test", now=self.wall())

    def add(self, name):
        return self.begin(*self.made("provision", name, groups={})) if name.startswith("signed") else super().add(name)

    def wall(self):
        """Return the time that the manager's clock shows."""
        return int(self.registry.now())

    def made(self, do, name, ca=None, lifetime_s=None, **more):
        private = curve.generate(os.urandom)
        chain, _ = signing.sign(ca or self.ca, curve.public(private), name, "client", lifetime_s, self.wall())
        return self.do(do, name=name, point=curve.public(private).hex(), chain=chain, **more), private


@pytest.fixture(autouse=True)
def town(monkeypatch):
    monkeypatch.setattr(test_device_updates, "Town", Town)


def certificate(stored, **changed):
    """Return what somebody can connect with who has copied a node.json."""
    stored = {**stored, **changed}
    chain, anchors = ([bytes.fromhex(each) for each in stored[name]] for name in ("chain", "anchors"))
    return Certificate(bytes.fromhex(stored["private"]), chain, Trust(anchors), stored["server"], clock=None)


def test_all_kinds_connect_and_are_who_they_are(tmp_path):
    async def scenario(town):
        nodes = [town.add(name) for name in ("raw", "shared", "signed", "signed-2")]
        await asyncio.sleep(15)
        assert set(town.service.kdc.connected) == {node.identity for node in nodes}
        kinds = {device["name"]: device["kind"] for device in town.do("devices")}
        assert kinds == {"raw": "rpk", "shared": "psk", "signed": "certificate", "signed-2": "certificate"}
        stored = nodes[2].stored
        assert set(stored) == {
            "name", "identity", "private", "servers", "chain", "anchors", "server", "since", "manager", "managers", "groups"
        }  # fmt: skip
        # Its key alone is none, and the certificate of another is none without that key.
        await refused(town, RawPublicKey(bytes.fromhex(stored["private"]), [bytes.fromhex(stored["servers"][0])]))
        await refused(town, certificate(stored, server="other.house"))
        private = curve.generate(os.urandom)
        chain, _ = signing.sign(town.ca, curve.public(private), "signed", "client", now=town.wall())
        await refused(town, certificate(stored, private=private.hex(), chain=chain))  # the authority is trusted, the key is not
        authority.new(tmp_path / "other", "other", now=town.wall())
        own = bytes.fromhex(stored["private"])
        chain, _ = signing.sign(tmp_path / "other", curve.public(own), "signed", "client", now=town.wall())
        await refused(town, certificate(stored, chain=chain))  # the right key, of a stranger's authority
        for identity in (b"signed", nodes[2].identity):
            await refused(town, dice.Psk(identity, b"\0"))
        with pytest.raises(CommandError, match="dicectl provision renew signed, and replace for another key"):
            town.do("rotate", names=["signed"])
        with pytest.raises(CommandError, match="does not trust this certificate"):
            town.made("provision", "x", ca=tmp_path / "other", groups={})
        assert len(town.service.kdc.connected) == 4

    run(tmp_path, scenario)


def test_the_key_of_the_managers_certificate_is_changed_and_no_device_is_touched(tmp_path):
    """Devices with raw public keys go on with the other key; a thief of the last one has a certificate that can be revoked."""

    async def scenario(town):
        def change():
            found = town.do("public_key", new=True)
            chain, anchor = signing.sign(town.ca, bytes.fromhex(found["point"]), "manager.house", "server", now=town.wall())
            town.do("certify", chain=chain, anchors=[anchor])
            return found["fingerprint"]

        async def all_connect():
            last = dict(town.service.kdc.connected)
            for node in nodes:
                node.cut()
                node.power_on()
            await asyncio.sleep(100)
            found = town.service.kdc.connected
            assert {name for name in found if found[name] is not last.get(name)} == {node.identity for node in nodes}

        nodes = [town.add(name) for name in ("raw", "shared", "signed")]
        await asyncio.sleep(15)
        before = [node.stored for node in nodes], own_keys.private(town.registry)
        for _ in range(2):
            fingerprint = change()
            await all_connect()  # with the certificate that the manager has until it is started again
            town.kill()
            await town.start()
            await all_connect()
            await town.service.authorities.begin()
            assert town.service.authorities.own.hex() == fingerprint == town.do("public_key")["fingerprint"]
            assert fingerprint != own_keys.fingerprint(own_keys.point(town.registry)).hex()
        assert before == ([node.stored for node in nodes], own_keys.private(town.registry))
        # A key that nobody has certified, and a certificate of a key that is not the manager's, change nothing.
        other = town.do("public_key", new=True)
        assert town.do("public_key")["fingerprint"] == fingerprint != other["fingerprint"]
        chain, anchor = signing.sign(town.ca, bytes.fromhex(other["point"]), "manager.house", "server", now=town.wall())
        with pytest.raises(CommandError, match="of another key"):
            town.do("certify", chain=chain, anchors=[anchor])

    run(tmp_path, scenario)


def test_a_node_accepts_only_the_keys_that_are_pinned(tmp_path):
    async def scenario(town):
        node = town.add("signed")
        await asyncio.sleep(15)
        for pins, connects in (([town.do("public_key")["fingerprint"]], True), (["00" * 32], False)):
            node.cut()
            node.path.write_text(json.dumps({**node.stored, "pins": pins}))
            town.kill()
            await town.start()
            node.power_on()
            await asyncio.sleep(100)
            assert (node.identity in town.service.kdc.connected) == connects

    run(tmp_path, scenario)


def test_pins_come_from_provisioning_and_lock_nobody_out_by_mistake(tmp_path):
    """An authority that is trusted for devices could certify another manager; those with pins refuse that one."""

    async def scenario(town):
        def certify(ca, pins=None, new=False):
            point = bytes.fromhex(town.do("public_key", new=new)["point"])
            chain, anchor = signing.sign(ca, point, "manager.house", "server", now=town.wall())
            return town.do("certify", chain=chain, anchors=[anchor], pins=pins)

        async def connected(*nodes):
            town.kill()
            await town.start()
            await asyncio.sleep(300)
            return {node for node in nodes if node.identity in town.service.kdc.connected}

        first = town.add("signed-1")
        top = own_keys.fingerprint(authority_point(town.ca)).hex()
        assert certify(town.ca, [top, top])["pins"] == [top]
        second = town.add("signed-2")
        assert "pins" not in first.stored and second.stored["pins"] == [top]
        assert await connected(first, second) == {first, second}
        certify(town.ca, new=True)  # the pins stay, and are those of an authority
        assert await connected(first, second) == {first, second}
        other = tmp_path / "other"
        authority.new(other, "other", now=town.wall())
        with pytest.raises(CommandError, match="neither its key nor one of its authorities is pinned; --pin pins others"):
            certify(other)
        assert await connected(first, second) == {first, second}
        own = town.do("public_key")["fingerprint"]
        assert certify(other, [own])["pins"] == [own]
        with pytest.raises(CommandError, match="is pinned"):
            certify(other, new=True)
        third = town.do("provision", name="third", groups={})
        assert "pins" not in third, "a pre-shared key has nothing to pin"
        replaced, _ = town.made("replace", "signed-2")
        assert replaced["pins"] == [own]
        assert certify(other, [])["pins"] == []
        fourth = town.add("signed-4")
        assert "pins" not in fourth.stored
        assert await connected(fourth) == {fourth}

    run(tmp_path, scenario)


def authority_point(folder):
    """Return the point of the key of an authority."""
    return authority.Authority(folder).anchor.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.mark.parametrize("end", ["wipe", "replace"])
def test_what_a_deleted_device_had_ends_at_once(tmp_path, end):
    """Also though its certificate never expires, and the new device has one of the same name."""

    async def scenario(town):
        node = town.add("signed")
        await asyncio.sleep(5)
        thief = certificate(node.stored)
        network = town.network.host("thief")
        connection = await dice.connect(("", 0), thief, network=network, timer_ms=1000, tickets=True)
        ticket = connection.session.resumption()
        Coap(connection, Router({}))
        await asyncio.sleep(1)
        assert not connection.ended
        if end == "wipe":
            town.do("wipe", name="signed")
        else:
            node.cut()
            settings, private = town.made("replace", "signed")
            node.path.unlink()
            node.folder.rmdir()
            town.begin(settings, private)
        await asyncio.sleep(1)
        assert connection.ended
        await refused(town, thief)
        await refused(town, thief, resume=ticket)
        await asyncio.sleep(10)
        expected = {town.nodes["signed"].identity} if end == "replace" else set()
        assert set(town.service.kdc.connected) == expected and node.identity not in expected

    run(tmp_path, scenario)


def test_a_manager_is_certified_and_devices_are_signed_by_commands(manager, tmp_path):
    assert "needs an authority" in manager("provision", "new", "lamp", "--key", "certificate", "--to", "lamp", status=2)
    manager("ca", "new", "home-ca")
    signed = ("--key", "certificate", "--ca", "home-ca")
    assert "no certificate yet: dicectl manager certify" in manager("provision", "new", "lamp", *signed, "--to", "lamp", status=2)
    assert "would be certified" in manager("manager", "certify", "home-ca", "--name", "manager.house", "--dry-run")
    assert "restart the manager" in manager("manager", "certify", "home-ca", "--name", "manager.house")
    made = manager("provision", "new", "lamp", *signed, "--to", "lamp", "--json")
    stored = json.loads((tmp_path / "lamp" / "node.json").read_text())
    assert stored["server"] == "manager.house" and len(stored["chain"]) == len(stored["anchors"]) == 1
    shown = manager("provision", "show", "lamp", "--json")
    assert (shown["kind"], shown["certificate"], shown["fingerprint"]) == ("certificate", "lamp", made["fingerprint"])
    assert "certified as lamp" in manager("provision", "show", "lamp")
    listed = {entry["name"]: entry["key"] for entry in manager("ca", "list", "home-ca", "--json")}
    assert listed["lamp"] == made["fingerprint"] and "manager.house" in listed
    assert "needs an authority" in manager("provision", "replace", "lamp", "--to", "lamp", status=2)
    again = manager("provision", "replace", "lamp", "--ca", "home-ca", "--to", "lamp", "--json")
    assert again["fingerprint"] != made["fingerprint"]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and stored["private"].encode() in path.read_bytes()]
    pinned = manager("manager", "certify", "home-ca", "--name", "manager.house", "--pin", "home-ca/ca.pem", "--pin", "manager")
    assert pinned.count("demand one of these keys, too") == 1
    pins = manager("manager", "certify", "home-ca", "--name", "manager.house", "--json")["pins"]
    assert len(pins) == 2 and all(pin in pinned for pin in pins)
    manager("provision", "replace", "lamp", "--ca", "home-ca", "--to", "lamp")
    assert json.loads((tmp_path / "lamp" / "node.json").read_text())["pins"] == pins
    manager("ca", "new", "other-ca")
    other = ("manager", "certify", "other-ca", "--name", "manager.house", "--new-key")
    assert "is pinned; --pin pins others" in manager(*other, status=2)
    assert "not both" in manager(*other, "--no-pins", "--pin", "manager", status=2)
    assert "is no public key" in manager(*other, "--pin", "home-ca/certificates.jsonl", status=2)
    assert manager(*other, "--no-pins", "--json")["pins"] == []
    assert files == [] and stored["private"] not in json.dumps([made, shown, again])
