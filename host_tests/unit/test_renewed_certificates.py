# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Certificates that are renewed over the session: the manager's own service, the nodes' own managers.py, real handshakes.

In virtual time. The search cuts the power of nodes, kills the manager, loses datagrams and lets the registry fail, at any moment.
"""

import asyncio
import json
import random
import types

import pytest
from cryptography.hazmat.primitives import serialization

from dice.coap.codes import CHANGED, PUT
from dice.crypto import curve
from dice.dtls.kx_cert import read_chain, write_chain
from dice.wire import Reader
from dicectl.cli import signing
from dicectl.errors import CommandError
from dicectl.manager import authorities, authority, certificates, renewal
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.base import RegistryError
from host_tests.seeds import search
from host_tests.unit import test_device_updates
from host_tests.unit.test_device_updates import run
from host_tests.unit.test_provision_command import manager
from host_tests.unit.test_revoked_certificates import Town

__all__ = ["manager"]
LIFETIME_S = 9000
SOON_S = 100  # a step, the delivery and a handshake, without loss


@pytest.fixture(autouse=True)
def town(monkeypatch):
    async def look(_, revoked):
        revoked.look()  # virtual time knows no threads

    async def sign(renewals, local, fingerprint, end, usage, now):
        return local.renew(fingerprint, end, usage, renewals._passphrase, now)

    monkeypatch.setattr(test_device_updates, "Town", Town)
    monkeypatch.setattr(authorities.Authorities, "_look", look)
    monkeypatch.setattr(renewal.Renewals, "_sign", sign)


def end_of(node):
    """Return when the certificate ends that a node has, without one that waits for its proof."""
    return certificates.read_leaf(bytes.fromhex(node.stored["chain"][0])).not_after


def _fingerprint(folder):
    return bytes.fromhex(authority.fingerprint(authority.Authority(folder).certificate.public_key()))


def issued(town, name):
    return [entry for entry in authority.Authority(town.ca).list() if entry["name"] == name]


def test_a_certificate_is_renewed_when_a_third_of_its_time_is_left(tmp_path):
    async def scenario(town):
        node, forever = town.add("signed-1", LIFETIME_S), town.add("signed-2")
        await asyncio.sleep(15)
        first, session = node.stored, node.coap
        end = end_of(node)
        await asyncio.sleep(2 / 3 * LIFETIME_S - 3000)  # its notBefore is an hour ago
        assert node.stored == first and len(issued(town, "signed-1")) == 1 and town.do("device", name="signed-1")["expires"] == end
        await asyncio.sleep(2000)
        assert session.ended, "no session has proved the new certificate"
        stored = node.stored
        assert stored["private"] == first["private"] and stored["chain"] != first["chain"] and "next" not in stored
        assert end_of(node) > end + LIFETIME_S / 2 and town.do("device", name="signed-1")["expires"] == end_of(node)
        assert node.identity in town.service.kdc.connected and town.service.problems() == []
        events = [entry["event"] for entry in town.registry.audit() if entry["device"] == "signed-1" and "cert" in entry["event"]]
        assert events == ["certificate-offered", "certificate-stored"]
        assert first["private"] not in str(town.registry.audit())
        # For years: one certificate for each two thirds of a lifetime, of which each is as long as the first.
        await asyncio.sleep(2 * LIFETIME_S)
        ends = issued(town, "signed-1")
        assert len(ends) in (5, 6) and {entry["not_after"] - entry["issued"] for entry in ends} == {LIFETIME_S}
        assert node.identity in town.service.kdc.connected and "since" in node.stored
        assert len(issued(town, "signed-2")) == 1 and forever.identity in town.service.kdc.connected

    run(tmp_path, scenario)


def test_a_device_that_was_away_gets_it_when_it_connects_unless_it_is_too_late(tmp_path):
    async def scenario(town):
        late, too_late = town.add("signed-1", LIFETIME_S), town.add("signed-2", LIFETIME_S)
        await asyncio.sleep(15)
        late.cut()
        too_late.cut()
        await asyncio.sleep(LIFETIME_S - 600)
        assert len(issued(town, "signed-1")) == 1, "certificates are issued for devices that may never return"
        assert sorted(town.service.authorities.renewals.due) == ["signed-1", "signed-2"]
        late.power_on()
        await asyncio.sleep(SOON_S)
        assert end_of(late) > town.wall() + LIFETIME_S / 2
        await asyncio.sleep(1000)
        too_late.power_on()
        await asyncio.sleep(SOON_S)
        assert too_late.identity not in town.service.kdc.connected and len(issued(town, "signed-2")) == 1
        assert town.service.problems() == ["the certificates of signed-2 have expired: dicectl provision replace"]

    run(tmp_path, scenario)


def test_without_an_authority_it_is_said_and_an_operator_renews(tmp_path):
    async def scenario(town):
        town.service.authorities.use([])
        node, raw = town.add("signed-1", LIFETIME_S), town.add("raw")
        await asyncio.sleep(2 / 3 * LIFETIME_S + 200)
        (problem,) = town.service.problems()
        assert "signed-1 expire soon: dicectl provision renew" in problem
        (found,) = town.do("expiring", names=[])
        assert found["name"] == "signed-1" and found["expires"] == end_of(node)
        own = authority.Authority(town.ca)

        def chain(*arguments, **more):
            made = own.renew(found["fingerprint"], "client", *arguments, end=found["expires"], now=town.wall(), **more)
            return [made.public_bytes(authority.serialization.Encoding.DER).hex()]

        with pytest.raises(CommandError, match="ends no later"):
            town.do("renew", chains={"signed-1": chain(lifetime_s=60)})
        with pytest.raises(CommandError, match="raw has no certificate"):
            town.do("renew", chains={"raw": chain()})
        with pytest.raises(CommandError, match="raw has no certificate"):
            town.do("expiring", names=["raw"])
        other, _ = signing.sign(town.ca, own_keys.point(town.registry), "signed-1", "client", now=town.wall())
        with pytest.raises(CommandError, match="another key or name"):
            town.do("renew", chains={"signed-1": other})
        ends = town.do("renew", chains={"signed-1": chain()})
        assert town.do("renewed", ends=ends) == {"signed-1": "it is under way"}
        await asyncio.sleep(SOON_S)
        assert town.do("renewed", ends=ends) == {} and end_of(node) == ends["signed-1"] and town.service.problems() == []
        town.do("wipe", name="signed-1")
        assert list(town.do("renewed", ends=ends)) == ["signed-1"] and raw.identity in town.service.kdc.connected

    run(tmp_path, scenario)


def test_a_key_that_cannot_sign_is_said_and_a_passphrase_helps(tmp_path):
    async def scenario(town):
        node = town.add("signed-1", LIFETIME_S)
        key = serialization.load_pem_private_key((town.ca / authority.KEY).read_bytes(), None)
        form = serialization.BestAvailableEncryption(b"secret words")
        (town.ca / authority.KEY).write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)
        )
        await asyncio.sleep(2 / 3 * LIFETIME_S)
        (problem,) = town.service.problems()
        assert "certificates cannot be renewed" in problem and "passphrase" in problem and "secret words" not in problem
        town.service.authorities.use([town.ca], b"secret words")
        await asyncio.sleep(renewal.RETRY_S + SOON_S)
        assert town.service.problems() == [] and end_of(node) > town.wall() + LIFETIME_S / 2
        assert len(issued(town, "signed-1")) == 2

    run(tmp_path, scenario)


def test_what_is_revoked_is_not_renewed(tmp_path):
    async def scenario(town):
        node = town.add("signed-1", LIFETIME_S)
        node.routes = {}  # a program that does not know the resource
        await asyncio.sleep(2 / 3 * LIFETIME_S + 100)
        identity, name = node.identity, "signed-1"
        offered = town.registry.offered_certificate(identity)
        assert offered and town.do("renewed", ends={name: town.registry.public[identity].expires()}) == {
            name: "its program is too old for that"
        }
        town.revoke(name)
        await asyncio.sleep(SOON_S)
        assert town.registry.offered_certificate(identity) is None
        with pytest.raises(CommandError, match="is revoked"):
            authority.Authority(town.ca).renew(issued(town, name)[0]["key"], "client", now=town.wall())
        with pytest.raises(CommandError, match="is revoked"):
            town.do("renew", chains={name: [each.hex() for each in read_chain(Reader(offered))]})

    run(tmp_path, scenario)


def test_the_managers_own_certificate_is_renewed_and_used_without_a_restart(tmp_path):
    async def scenario(town):
        chain, anchor = signing.sign(town.ca, own_keys.point(town.registry), "manager.house", "server", LIFETIME_S, town.wall())
        town.do("certify", chain=chain, anchors=[anchor])
        node = town.add("signed-1")
        await asyncio.sleep(2 * LIFETIME_S)
        assert len(issued(town, "manager.house")) in range(4, 7) and town.service.problems() == []
        node.cut()
        node.path.write_text(json.dumps({**node.stored, "since": town.wall()}))  # which refuses what has expired
        node.power_on()
        await asyncio.sleep(SOON_S)
        assert node.identity in town.service.kdc.connected
        town.service.authorities.use([])
        await asyncio.sleep(2 / 3 * LIFETIME_S)
        assert "the manager's own certificate expires" in town.service.problems()[0]

    run(tmp_path, scenario)


def test_an_authority_that_ends_issues_no_heap_of_certificates(tmp_path):
    async def scenario(town):
        town.ca = tmp_path / "short"
        authority.new(town.ca, "short", 3 * LIFETIME_S, now=town.wall())
        chain, anchor = signing.sign(town.ca, own_keys.point(town.registry), "manager.house", "server", now=town.wall())
        town.do("certify", chain=chain, anchors=[anchor])
        town.kill()
        await town.start()  # another authority has to be known to the exchanges
        town.ca = tmp_path / "short"
        town.service.authorities.use([town.ca])
        node = town.add("signed-1", LIFETIME_S)
        await asyncio.sleep(3 * LIFETIME_S - 3000)
        assert node.identity in town.service.kdc.connected and len(issued(town, "signed-1")) < 6
        assert any("expire soon" in problem for problem in town.service.problems())

    run(tmp_path, scenario)


def test_two_authorities_of_one_name_are_told_apart(tmp_path):
    """The issuer of a certificate is the key that has signed it: a list of the other one would revoke nothing."""

    async def scenario(town):
        older, town.ca = town.ca, tmp_path / "newer"
        authority.new(town.ca, "test", now=town.wall())
        chain, anchor = signing.sign(town.ca, own_keys.point(town.registry), "manager.house", "server", now=town.wall())
        town.do("certify", chain=chain, anchors=[anchor])
        town.kill()
        await town.start()
        town.ca = tmp_path / "newer"
        node = town.add("signed-1")
        issuers = [_fingerprint(each) for each in (older, town.ca)]
        assert town.registry.public[node.identity].issuer == issuers[1] != issuers[0]
        await asyncio.sleep(10)
        assert node.identity in town.service.kdc.connected

    run(tmp_path, scenario)


def test_no_schedule_of_cuts_kills_and_losses_locks_a_node_out(tmp_path):
    def play(seed):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        return run(folder, lambda town: _trouble(town, rng), loss=rng.choice((0, 10)), rng=rng)

    done = search(play, 4)
    assert done["renewed"] > 8 and done["cut"] > 8 and done["killed"] > 4


async def _trouble(town, rng):
    done = {"renewed": 0, "cut": 0, "killed": 0, "failed": 0}
    for number in range(3):
        town.add(f"signed-{number}", LIFETIME_S)
    keys = {name: node.stored["private"] for name, node in town.nodes.items()}

    def fail():
        if failing and rng.randrange(4) == 0:
            done["failed"] += 1
            raise RegistryError("disk I/O error")

    town.registry.before_write = fail
    for _ in range(40):
        failing = True
        what = rng.choice(("renew", "renew", "cut", "kill", "wait"))
        name = rng.choice(list(town.nodes))
        if what == "renew":
            town.service.authorities.renewals._rests.clear()
            key = town.registry.public[town.nodes[name].identity]
            try:
                made = authority.Authority(town.ca).renew(key.fingerprint.hex(), "client", None, LIFETIME_S, now=town.wall())
                town.do("renew", chains={name: [made.public_bytes(authority.serialization.Encoding.DER).hex()]})
            except CommandError:
                pass  # the registry has failed, or it ends no later
        elif what == "cut":
            done["cut"] += 1
            town.nodes[name].cut()
            await asyncio.sleep(rng.random() * 2)
            town.nodes[name].power_on()
        elif what == "kill":
            done["killed"] += 1
            failing = False
            town.kill()
            await asyncio.sleep(rng.random() * 2)
            await town.start()
        await asyncio.sleep(rng.random() * rng.choice((0.1, 1, 100)))
    failing = False
    await asyncio.sleep(1300)
    for node in town.nodes.values():
        node.cut()
        node.power_on()
    await asyncio.sleep(400)
    assert set(town.service.kdc.connected) == {node.identity for node in town.nodes.values()}
    for name, node in town.nodes.items():
        key = town.registry.public[node.identity]
        assert key.offered is None and "next" not in node.stored, "a renewal has not ended"
        assert key.not_after == end_of(node) and node.stored["private"] == keys[name]
        done["renewed"] += [entry["event"] for entry in town.registry.audit() if entry["device"] == name].count(
            "certificate-stored"
        )
    return done


def test_a_node_takes_only_its_own_certificates_and_keeps_the_one_that_works(tmp_path):
    """The node alone: `take` is its resource, and each file that it writes is one with which it can connect."""

    async def scenario(town):
        node = town.add("signed-1", LIFETIME_S)
        await asyncio.sleep(10)
        node.cut()
        first = node.stored
        managers = test_device_updates.managers_of(node.folder, first)

        def take(payload):
            code, _ = managers.routes["dice/certificate"][PUT](types.SimpleNamespace(payload=payload), None)
            return code == CHANGED

        def signed(point, name, lifetime_s=2 * LIFETIME_S, ca=town.ca, now=0):
            chain, _ = signing.sign(ca, point, name, "client", lifetime_s, now or town.wall())
            return write_chain(certificates.decoded(chain), point)

        own = curve.public(bytes.fromhex(first["private"]))
        other = curve.public(bytes.fromhex("77" * 32))
        good = signed(own, "signed-1")
        authority.new(tmp_path / "past", "past", now=town.wall() - 10 * LIFETIME_S)
        past = signed(own, "signed-1", 60, tmp_path / "past", town.wall() - 9 * LIFETIME_S)
        for wrong in (b"", b"\0\0\0", good[:-1], good + b"\0", b"[]", signed(other, "signed-1"), signed(own, "signed-2")):
            assert not take(wrong) and node.stored == first
        assert take(good) and node.stored["chain"] == first["chain"] and node.stored["next"]["private"] == first["private"]
        waiting = node.stored
        assert take(good) and not take(past) and node.stored == waiting, "it ended before the device was provisioned"
        following = signed(own, "signed-1", 3 * LIFETIME_S)
        assert take(following) and node.stored["chain"] == first["chain"], "the one that works was lost"
        connection = await managers.connect(town.network.host("lamp"))
        assert node.stored["chain"] != first["chain"] and "next" not in node.stored
        assert node.stored["since"] == certificates.read_leaf(bytes.fromhex(node.stored["chain"][0])).not_before
        proved = node.stored
        assert take(following) and node.stored == proved and not take(past), "it ended before a time that is over"
        connection.close()
        # A certificate that does not work, here of a stranger's authority, costs a handshake and nothing else.
        authority.new(tmp_path / "stranger", "stranger", now=town.wall())
        proved = node.stored
        assert take(signed(own, "signed-1", ca=tmp_path / "stranger")) and node.stored["chain"] == proved["chain"]
        (await managers.connect(town.network.host("lamp"))).close()
        again = test_device_updates.managers_of(node.folder, node.stored)
        (await again.connect(town.network.host("lamp"))).close()
        assert take(following) and node.stored["chain"] == proved["chain"]

    run(tmp_path, scenario)


def test_a_node_with_another_kind_of_key_has_no_such_resource(tmp_path):
    for stored in ({"identity": "0f", "key": "00" * 16}, {"private": "01" * 32, "servers": []}):
        assert "dice/certificate" not in test_device_updates.managers_of(tmp_path, stored).routes


def test_the_command_offers_certificates_and_says_who_has_them(manager, tmp_path):
    manager("ca", "new", "home-ca")
    manager("manager", "certify", "home-ca", "--name", "manager.house", "--lifetime", "400d")
    signed = ("--key", "certificate", "--ca", "home-ca")
    made = manager("provision", "new", "lamp", *signed, "--lifetime", "90d", "--to", "lamp", "--json")
    assert "certificate expires 20" in manager("provision", "list")
    assert "name devices, or --expiring" in manager("provision", "renew", "--ca", "home-ca", status=2)
    assert "needs an authority" in manager("provision", "renew", "lamp", status=2)
    assert "would renew the certificates of: lamp" in manager("provision", "renew", "lamp", "--ca", "home-ca", "--dry-run")
    assert manager("provision", "renew", "--expiring", "--ca", "home-ca", "--json") == {"renewed": [], "pending": {}}
    said = manager("provision", "renew", "lamp", "--ca", "home-ca", "--lifetime", "91d", "--wait", "0", status=1)
    assert "0 of 1 have their new certificate" in said and "lamp: it has no session; it follows when it connects" in said
    assert "ends no later" in manager("provision", "renew", "lamp", "--ca", "home-ca", "--lifetime", "30d", status=2)
    assert [each["key"] for each in manager("ca", "list", "home-ca", "--json")][1:] == [made["fingerprint"]] * 3
    replaced = manager("provision", "replace", "lamp", "--ca", "home-ca", "--lifetime", "30d", "--to", "lamp", "--json")
    assert replaced["fingerprint"] != made["fingerprint"]
