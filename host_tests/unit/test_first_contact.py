# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""First contact by a code that people compare: real handshakes in virtual time, with and without somebody in between.

properties/test_contact_schedules.py searches schedules of messages; unix_port/test_first_contact_device.py has the real command.
"""

import asyncio
import json

import pytest

import dice
from dice.aio import contact as device_module
from dice.aio.coap import Coap
from dice.aio.contact import contact
from dice.coap.codes import BAD_REQUEST, CHANGED, FORBIDDEN, POST
from dice.coap.resource import Router
from dice.dtls.contact import FirstContact
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.errors import PeerError, StoreError
from dicectl.errors import CommandError
from dicectl.manager import contact as contacts
from dicectl.manager import contact_requests
from dicectl.manager.registry import own_keys
from dicectl.net.virtual import VirtualNetwork
from host_tests.unit import test_device_updates
from host_tests.unit.test_device_updates import Node, run
from host_tests.unit.test_raw_keys_of_a_town import Town as RawTown


class Town(RawTown):
    """A town whose manager can be reached for first contact, at the end "manager" of another network."""

    async def start(self):
        await super().start()
        self.open = VirtualNetwork(lambda sides: 0, 0)

    def begin_contact(self, name, groups=(), wait_s=300):
        self.service.contact_transport = self.open.unicast("manager", True)
        self.do("contact", name=name, groups=dict(groups), port=5685, wait_s=wait_s)

    async def device(self, confirm, name="lamp", path=None):
        path = path or self.folder / "contact.json"
        return await contact(("", 0), confirm, str(path), network=self.open.host(name))

    async def until(self, state):
        while (found := self.do("contact_state"))["state"] not in (state, "failed"):
            await asyncio.sleep(0.1)
        return found

    def events(self):
        return [(entry["device"], entry["why"]) for entry in self.registry.audit() if entry["event"] == "contact"]


@pytest.fixture(autouse=True)
def town(monkeypatch):
    monkeypatch.setattr(test_device_updates, "Town", Town)


class Person:
    """Somebody at the device: `shown` is the code there, once there is one; `answer` is a future of what the button says."""

    def __init__(self):
        self.shown = None
        self.answer = asyncio.get_running_loop().create_future()

    async def __call__(self, shown):
        self.shown = shown
        return await self.answer


def test_a_device_is_taken_in_when_both_sides_have_confirmed_and_not_before(tmp_path):
    async def scenario(town):
        town.do("new", group="lamps")
        person, path = Person(), town.folder / "contact.json"
        town.begin_contact("lamp", {"lamps": "sender"})
        working = asyncio.ensure_future(town.device(person))
        found = await town.until("comparing")
        await asyncio.sleep(5)
        assert found["code"] == person.shown and len(person.shown) == 7 and found["fingerprint"]

        def stored():
            return path.exists() or bool(town.registry.devices())

        assert not stored() and found["settings"] is None
        person.answer.set_result(True)
        await asyncio.sleep(10)
        assert not stored(), "the device alone has confirmed"
        with pytest.raises(CommandError, match="no such code"):
            town.do("contact_confirm", code="000 000" if found["code"] != "000 000" else "1")
        town.do("contact_confirm", code=found["code"])
        done = await town.until("done")
        settings = await working
        assert json.loads(path.read_text()) == settings and settings["servers"] == [own_keys.point(town.registry).hex()]
        assert done["settings"]["fingerprint"] == town.do("device", name="lamp")["fingerprint"] == found["fingerprint"]
        assert set(settings) == {"name", "identity", "private", "servers", "manager", "managers", "groups"}
        assert settings["groups"] == ["lamps"] and town.service.groups_of(settings["identity"].encode()) == {"lamps": "sender"}
        said = str(town.registry.audit())
        assert town.events() == [("lamp", "done")] and settings["private"] not in said and found["code"] not in said
        node = Node(town, settings)
        node.power_on()
        await asyncio.sleep(10)
        assert set(town.service.kdc.connected) == {settings["identity"].encode()}

    run(tmp_path, scenario)


@pytest.mark.parametrize("who", ["the device", "the operator", "nobody", "the device is cut"])
def test_nothing_is_stored_if_one_side_says_no_or_nothing(tmp_path, who):
    async def scenario(town):
        person = Person()
        town.begin_contact("lamp", wait_s=60)
        working = asyncio.ensure_future(town.device(person))
        found = await town.until("comparing")
        await asyncio.sleep(1)
        if who == "the device":
            town.do("contact_confirm", code=found["code"])
            person.answer.set_result(False)
        elif who == "the operator":
            person.answer.set_result(True)
            await asyncio.sleep(3)
            town.do("contact_end", why="the operator has said that the codes differ")
        elif who == "the device is cut":
            working.cancel()
        await asyncio.sleep(100)
        if who == "the operator":
            assert town.events() == [("lamp", "the operator has said that the codes differ")]
        else:
            assert (await town.until("failed"))["why"]
        if who == "nobody":
            person.answer.set_result(True)
        result = (await asyncio.gather(working, return_exceptions=True))[0]
        assert result is None or isinstance(result, (PeerError, asyncio.CancelledError))
        assert not (town.folder / "contact.json").exists() and town.registry.devices() == {}
        assert len(town.events()) == 1 and not town.open.of("manager"), "the port is still served"

    run(tmp_path, scenario)


def test_a_device_that_cannot_store_is_forgotten(tmp_path, monkeypatch):
    def fail(path, data):
        raise StoreError(30)

    async def scenario(town):
        town.do("new", group="lamps")
        monkeypatch.setattr(device_module, "replace_file", fail)
        person = Person()
        town.begin_contact("lamp", {"lamps": "listener"})
        working = asyncio.ensure_future(town.device(person))
        found = await town.until("comparing")
        town.do("contact_confirm", code=found["code"])
        await asyncio.sleep(1)
        person.answer.set_result(True)
        with pytest.raises(StoreError):
            await working
        assert (await town.until("failed"))["why"] == "the device has ended the session, or is silent"
        assert town.registry.devices() == {} and town.service.managers["lamps"].state.members == {}

    run(tmp_path, scenario)


class Between:
    """Somebody between a device and the manager, with a key pair for each side; passes on what the two say to each other."""

    def __init__(self, town):
        self.town = town
        self.device_side = VirtualNetwork(lambda sides: 0, 0)
        self.service = self.manager = self.ours = None

    async def begin(self):
        server = RawPublicKeyServer(b"\7" * 32, lambda identity: True)
        transport = self.device_side.unicast("manager", True)
        self.service = await dice.serve(0, server, self._serve, transport=transport, remember=None, timer_ms=1000)
        self.ours = FirstContact(lambda count: b"\5" * count)
        connection = await dice.connect(("", 0), self.ours, network=self.town.open.host("between"), timer_ms=1000)
        self.manager = Coap(connection, Router({}))

    async def _serve(self, connection):
        coap = Coap(connection, Router({"contact/*": {POST: lambda request, session: self._relay(coap, request)}}))
        await coap.closed()

    def _relay(self, coap, request):
        async def relay():
            path = request.path()
            payload = bytes(request.payload)
            if path == "contact/commit":  # his own: that of the device is about other keys
                payload = self.ours.commitment()
            elif path == "contact/reveal":
                payload = self.ours.nonce
            response = await self.manager.request(POST, path, payload)
            await coap.respond(request, (response.code, response.payload))

        self._task = asyncio.ensure_future(relay())


def test_somebody_in_between_is_seen_because_the_codes_differ(tmp_path):
    async def scenario(town):
        town.begin_contact("lamp")
        between, person = Between(town), Person()
        await between.begin()
        path = town.folder / "contact.json"
        working = asyncio.ensure_future(contact(("", 0), person, str(path), network=between.device_side.host("lamp")))
        found = await town.until("comparing")
        await asyncio.sleep(1)
        assert person.shown and found["code"] and person.shown != found["code"]
        person.answer.set_result(person.shown == found["code"])
        assert await working is None
        assert (await town.until("failed"))["why"] == "at the device, somebody has said that the codes differ"
        assert not path.exists() and town.registry.devices() == {}

    run(tmp_path, scenario)


def test_what_a_device_relays_unchanged_does_not_keep_to_its_commitment(tmp_path):
    """The device's own commitment names other keys than those of the session that it arrives in."""

    async def scenario(town):
        town.begin_contact("lamp")
        between = Between(town)
        await between.begin()
        theirs = FirstContact(lambda count: b"\6" * count)
        theirs.server = bytes(own_keys.point(town.registry))
        assert (await between.manager.request(POST, "contact/commit", theirs.commitment())).code == CHANGED
        assert (await between.manager.request(POST, "contact/reveal", theirs.nonce)).code == BAD_REQUEST
        assert "commitment" in (await town.until("failed"))["why"]

    run(tmp_path, scenario)


def test_one_device_and_one_attempt_at_a_time_and_a_pause_after_three(tmp_path):
    async def scenario(town):
        with pytest.raises(CommandError, match="no group"):
            town.begin_contact("lamp", {"none": "sender"})
        town.add("there")
        with pytest.raises(CommandError, match="already"):
            town.begin_contact("there")
        for number in range(contact_requests.FAILURES_MAX):
            town.begin_contact("lamp")
            with pytest.raises(CommandError, match="under way"):
                town.do("contact", name="other", groups={}, port=5685, wait_s=60)
            person = Person()
            working = asyncio.ensure_future(town.device(person))
            await town.until("comparing")
            with pytest.raises(PeerError):
                await town.device(Person(), f"late-{number}", town.folder / "late.json")
            person.answer.set_result(False)
            assert await working is None
            assert (await town.until("failed"))["state"] == "failed"
            await asyncio.sleep(2)
        with pytest.raises(CommandError, match="somebody may be in between"):
            town.begin_contact("lamp")
        await asyncio.sleep(contact_requests.FAILURES_S)
        town.begin_contact("lamp", wait_s=10)
        await asyncio.sleep(20)
        assert (await town.until("failed"))["why"] == "nobody has finished it in time"
        town.begin_contact("lamp")  # nobody has guessed
        town.do("contact_end", why="x")
        with pytest.raises(CommandError, match="no first contact"):
            town.do("contact_state")

    run(tmp_path, scenario)


def test_a_device_that_begins_and_falls_silent_ends_the_attempt_soon(tmp_path):
    """Else somebody in between could hold the manager's code, and try devices until one shows the same."""

    async def scenario(town):
        town.begin_contact("lamp")
        between = Between(town)
        await between.begin()
        await between.manager.request(POST, "contact/commit", between.ours.commitment())
        await asyncio.sleep(contacts.SILENT_S + 2)
        assert town.do("contact_state")["state"] == "failed" and between.manager.ended

    run(tmp_path, scenario)


def test_a_port_that_is_taken_is_said(tmp_path, monkeypatch):
    def taken(address, port, bind):
        raise OSError(98, "Address already in use")

    async def scenario(town):
        monkeypatch.setattr(contacts, "Unicast", taken)
        town.do("contact", name="lamp", groups={}, port=5685, wait_s=60)
        assert "cannot be served: " in (await town.until("failed"))["why"]

    run(tmp_path, scenario)


def test_a_device_does_not_take_its_own_key_for_a_managers(tmp_path):
    async def scenario(town):
        keys = FirstContact(lambda count: b"\5" * count)
        network = VirtualNetwork(lambda sides: 0, 0)

        async def serve(connection):
            await connection.receive()

        server = RawPublicKeyServer(keys.private, lambda identity: True)
        await dice.serve(0, server, serve, transport=network.unicast("manager", True), timer_ms=1000)
        with pytest.raises(PeerError):
            await dice.connect(("", 0), keys, network=network.host("lamp"), timer_ms=1000)
        attempt = contacts.Attempt(b"m" * 32, lambda count: b"n" * count, None, None)
        assert attempt.commit(b"m" * 32, b"c" * 32) == (BAD_REQUEST, b"") and attempt.device is None
        assert attempt.reveal(b"d" * 32, b"") == (FORBIDDEN, b"")

    run(tmp_path, scenario)


def test_a_dry_run_checks_and_begins_nothing(tmp_path):
    async def scenario(town):
        town.add("there")
        with pytest.raises(CommandError, match="already"):
            town.do("contact", name="there", groups={}, port=5685, wait_s=60, dry_run=True)
        assert town.do("contact", name="lamp", groups={}, port=5685, wait_s=60, dry_run=True) == {"port": 5685}
        with pytest.raises(CommandError, match="no first contact"):
            town.do("contact_state")

    run(tmp_path, scenario)
