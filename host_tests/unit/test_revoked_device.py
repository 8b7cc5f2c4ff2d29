# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The table of credentials in docs/security.md: a wiped or replaced device tries each one that it has, and none of them works.

The manager's own service runs in virtual time. The device obtains a credential, is wiped or replaced, and tries it again and again.
Each row also shows that the credential works for a device that stays.
"""

import asyncio
import os

import pytest

import dice
from dice.aio.coap import Coap
from dice.coap.codes import POST
from dice.coap.resource import Router
from dice.dtls.kx_psk import Psk
from dice.errors import DiceError
from dice.limits import EXPEL_MS, EXPEL_PACE_MS
from dicectl.manager.registry.sqlite import SqliteRegistry
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import MANAGER, VirtualNetwork, VirtualNode

SECRET = b"of the device"
TRIES_S = (0.1, 10, 400)  # after the change
GROUP_S = (EXPEL_MS + 3 * EXPEL_PACE_MS) / 1000 + 1  # until an epoch that shuts somebody out is in use, with three members
LAMPS = "ace-group/lamps"


class Store(dict):
    """A store in memory."""

    put = dict.__setitem__


class House:
    """A manager with a group, a desk and a lamp that stay, and the device that goes."""

    def __init__(self, network, folder):
        self.network, self.folder = network, folder
        self.service = ManagerService(SqliteRegistry(folder / "house.db"), folder / "house.db")
        self.delay_s = 0  # before the key distribution center sees a new session
        self._serve, self.service.kdc.serve = self.service.kdc.serve, self._serve_later

    async def _serve_later(self, connection):
        await asyncio.sleep(self.delay_s)
        await self._serve(connection)

    async def start(self):
        await self.service.start(5684, MANAGER, 1000, self.network.host().Unicast(None, 5684))
        self.service.do({"do": "new", "group": "lamps"})
        self.desk, self.lamp = (self.add(name, role) for name, role in (("desk", "sender"), ("lamp", "listener")))
        self.settings = self._provision("thief", "sender")
        self.identity, self._key = self.settings["identity"].encode(), bytes.fromhex(self.settings["key"])
        await asyncio.sleep(20)

    def _provision(self, name, role):
        return self.service.do({"do": "provision", "name": name, "groups": {"lamps": role}})

    def add(self, name, role):
        """Provision a node and power it on."""
        node = self.node(self._provision(name, role))
        node.power_on()
        return node

    def node(self, settings):
        identity, key = settings["identity"].encode(), bytes.fromhex(settings["key"])
        return VirtualNode(self.network, self.folder, settings["name"], "lamps", identity, key)

    async def connect(self, **options):
        """Connect as the device; raises PeerError."""
        network = self.network.host("thief")
        return await dice.connect(("", 0), Psk(self.identity, self._key), timer_ms=1000, timeout_s=20, network=network, **options)

    def known(self):
        """Return the sessions that the manager has with the device."""
        return [one for one in self.service._service.listener.sessions if one.session.identity == self.identity]


# Each prepares a credential, and returns a coroutine function that uses it: it returns whether that worked, or raises DiceError.


async def its_key(house):
    async def use():
        connection = await house.connect()
        connection.close()
        return True

    return use


async def a_ticket(house):
    return await _resuming(house, tickets=True)


async def a_session_id(house):
    return await _resuming(house, tickets=False)


async def _resuming(house, tickets):
    connection = await house.connect(tickets=tickets)
    resume = connection.session.resumption()
    assert bool(resume.ticket) == tickets
    connection.close()

    async def use():
        connection = await house.connect(resume=resume)
        connection.close()
        return connection.session.resumed

    return use


async def an_established_session(house):
    return _asking(Coap(await house.connect(), Router({})))


async def a_session_that_nobody_serves_yet(house):
    """The handshake is complete, and the key distribution center has not registered the session."""
    house.delay_s = 5
    connection = await house.connect()
    await asyncio.sleep(1)
    assert house.known() and house.identity not in house.service.kdc.connected
    return _asking(Coap(connection, Router({})))


async def a_saved_session(house):
    store = Store()
    connection = await house.connect()
    await asyncio.sleep(1)
    saved = [dice.save(connection.session, store, SECRET, os.urandom)]
    connection.close()

    async def use():
        session = dice.restore(saved.pop(), store, SECRET, dice.now())
        network = house.network.host("thief")
        connection = dice.attach(session, ("", 0), network=network)
        try:
            return await _asking(Coap(connection, Router({})))()
        finally:
            saved.append(dice.save(session, store, SECRET, os.urandom))
            connection.close()

    return use


async def a_handshake_under_way(house):
    """The manager has sent its ServerHello, and waits for the key exchange."""
    task = asyncio.ensure_future(house.connect())
    while not house.service._service.listener.half_open:
        await asyncio.sleep(0.001)
    house.network.cut.add("thief")
    await asyncio.sleep(0.5)

    async def use():
        house.network.cut.discard("thief")
        connection = await asyncio.shield(task)
        connection.close()
        return True

    return use


def _asking(coap):
    async def use():
        response = await asyncio.wait_for(coap.request(POST, LAMPS), 9)
        return response is not None

    return use


async def exported_keys(house):
    """They are of no use at the manager, whose side of the session has none any more."""
    await house.connect()
    await asyncio.sleep(1)
    (known,) = house.known()

    async def use():
        return bool(known.session.export(b"EXPORTER-test", 16))

    return use


CREDENTIALS = (
    its_key,
    a_ticket,
    a_session_id,
    an_established_session,
    a_session_that_nobody_serves_yet,
    a_saved_session,
    a_handshake_under_way,
    exported_keys,
)


async def _worked(use):
    try:
        return await use()
    except (DiceError, asyncio.TimeoutError):
        return False


async def _life(network, folder, credential, change):
    """Return whether the credential worked at each try after the change (wipe, replace, or None for a device that stays)."""
    house = House(network, folder)
    await house.start()
    use = await credential(house)
    before = house.service.do({"do": "show", "group": "lamps"})["epoch"]
    if change:
        house.service.do({"do": change, "name": "thief"})
        assert not house.known(), "the manager still has a session with it"
    worked = []
    start = asyncio.get_running_loop().time()
    for at in TRIES_S:
        await asyncio.sleep(max(0, start + at - asyncio.get_running_loop().time()))
        worked.append(await _worked(use))
    if change:
        assert not house.known() and house.identity not in house.service.kdc.connected
        assert house.service.do({"do": "show", "group": "lamps"})["epoch"] == before + 1
    await house.desk.send(b"on")
    await asyncio.sleep(1)
    assert [message for _, _, message in house.lamp.received][-1:] == [b"on"], "the others do not work any more"
    house.service.close()
    house.service.registry.close()
    return worked


def run(life, *arguments):
    network = VirtualNetwork(lambda sides: 0)
    return network.run(life, network, *arguments)


async def _group_keys(network, folder, change):
    """Let the device go on in the group that it was in; return how many of its messages the others obey, before and after."""
    house = House(network, folder)
    await house.start()
    thief = house.node(house.settings)
    thief.power_on()
    await asyncio.sleep(30)
    await thief.send(b"before")
    await asyncio.sleep(1)
    house.service.do({"do": change, "name": "thief"})
    await asyncio.sleep(GROUP_S)
    for pause in TRIES_S:
        await asyncio.sleep(pause)
        await thief.send(b"after")
    await asyncio.sleep(1)
    heard = [message for node in (house.desk, house.lamp) for _, _, message in node.received]
    house.service.close()
    house.service.registry.close()
    return heard.count(b"before"), heard.count(b"after")


@pytest.mark.parametrize("change", ["wipe", "replace"])
def test_a_device_that_was_wiped_or_replaced_is_not_obeyed_in_its_groups(change, tmp_path):
    """Nobody else speaks. The members are connected: the bound of the others is that of an expulsion (docs/protocol.md)."""
    assert run(_group_keys, tmp_path, change) == (2, 0)


@pytest.mark.parametrize("change", ["wipe", "replace"])
@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda credential: credential.__name__)
def test_a_device_that_was_wiped_or_replaced_can_do_nothing_with(credential, change, tmp_path):
    assert run(_life, tmp_path, credential, change) == [False] * len(TRIES_S)


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda credential: credential.__name__)
def test_a_device_that_stays_can_use(credential, tmp_path):
    assert run(_life, tmp_path, credential, None)[0]
