# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The parts of the demo: each is a function that acts, and checks the result."""

import asyncio
import contextlib
import random

import dice
from dice.dtls.kx_psk import Psk
from dice.errors import PeerError
from dicectl.demo import openssl
from dicectl.demo.emulated_node import EmulatedNode
from dicectl.demo.manager_process import PORT, ManagerProcess
from dicectl.demo.nodes import HEAP_KB, IDENTITY, SERVER_HEAP_KB, repeated_nonces
from dicectl.net import namespace
from dicectl.net.address import draw

LAMPS = 3
ROOMS = 8
FLOOD = 3000
STREAM = 90
_DECRYPT_ERROR = 51  # the alert
_SILENCE = 5  # messages of the expelled while nobody else speaks
_NEXT = 1 << 20  # a sequence number that the switch does not reach


def play(testbed, display, image):
    """Run all parts; `display` counts the checks. `image` is the firmware of a board to emulate, or None."""
    process = ManagerProcess(testbed.folder, namespace.ADDRESS6 if testbed.ipv6 else "127.0.0.1")
    with process as manager, contextlib.closing(_ManagedNodes(testbed, manager, image)) as managed:
        display.title("A switch and three lamps join a group")
        # Export the GSAs of listeners first: then they know that no message was sent before.
        lamps = [testbed.add(f"lamp-{number}", "demo_lamp", listener=number == 1) for number in range(1, LAMPS + 1)]
        switch = testbed.add("switch", "demo_switch", sender=True)
        display.lamps.extend(lamps)
        testbed.start(*lamps)
        testbed.start(switch)
        display.say("  Each is a MicroPython process. They have the group's keys; the attacker on the same network does not.")
        _obey(testbed, display, lamps, switch, ["on", "off"] * 3)
        _attack(testbed, display, lamps, switch)
        _lose_switch(testbed, display, lamps, switch)
        _lose_lamp(testbed, display, lamps, switch)
        _request_state(testbed, display, lamps, switch)
        messages = _manage(testbed, display, managed)
        testbed.count(lamps)
        sent = testbed.genuine + messages
        display.check(
            not repeated_nonces(testbed.genuine) + repeated_nonces(messages),
            f"{len(sent)} messages on the wire, and no two with the same nonce",
        )
        display.verdict(HEAP_KB)
        display.costs(SERVER_HEAP_KB, [managed.dimmer, *managed.rooms], managed.porch, len(messages[0]))
        display.end()


def _settle(testbed, lamps):
    """Wait until every lamp has obeyed what it should; give up after 2 s."""
    for _ in range(100):
        if all(lamp.obeyed >= lamp.due for lamp in lamps):
            return
        testbed.process_events(0.02)


def _obey(testbed, display, lamps, switch, commands):
    """Let the switch send commands, and check that the lamps obey."""
    for command in commands:
        testbed.command(switch, command)
        testbed.process_events(0.25)
    _settle(testbed, lamps)
    light = commands[-1] == "on"
    right = all(lamp.obeyed == lamp.due and lamp.on == light for lamp in lamps)
    display.check(right, f"the switch sent {', '.join(commands)}: every lamp obeyed, and is {commands[-1]}")


def _strike(testbed, display, lamps, what, datagrams, kind):
    """Send `datagrams` as the attacker, and check that every lamp drops all of them as `kind`, and does nothing else."""
    testbed.count(lamps)
    before = [(lamp.obeyed, lamp.on, lamp.counts["dropped"].get(kind, 0) + len(datagrams)) for lamp in lamps]
    for datagram in datagrams:
        testbed.attack(datagram)
        testbed.process_events(0)
    testbed.count(lamps)
    after = [(lamp.obeyed, lamp.on, lamp.counts["dropped"].get(kind, 0)) for lamp in lamps]
    display.check(after == before, f"{what}: all {len(datagrams)} dropped as [bold]{kind}[/bold]")


def _with(datagram, at, part):
    """Return a copy of a record with some of its bytes replaced."""
    return datagram[:at] + part + datagram[at + len(part) :]


def _claiming(datagram, at, part):
    """Return a copy of a record with other bytes in epoch | SenderID | number, both in the header and in the explicit nonce."""
    copy = _with(datagram, at, part)
    return _with(copy, 13, copy[3:11])


def _attack(testbed, display, lamps, switch):
    display.title("An attacker has recorded these messages, and tries to turn the lamps on")
    recorded = list(testbed.genuine)
    ahead = [_claiming(datagram, 6, (_NEXT + i).to_bytes(5, "big")) for i, datagram in enumerate(recorded)]
    _strike(testbed, display, lamps, "replays the recorded messages", recorded, "replayed")
    _strike(testbed, display, lamps, "replaces their sequence numbers by new ones", ahead, "forged")
    flipped = [
        _with(ahead[0], 21 + bit // 8, bytes([ahead[0][21 + bit // 8] ^ 1 << bit % 8])) for bit in range(8 * len(ahead[0][21:]))
    ]
    _strike(testbed, display, lamps, "flips each bit of a sealed message in turn", flipped, "forged")
    invented = [_with(ahead[0], 21, random.randbytes(len(ahead[0]) - 21)) for _ in range(50)]
    _strike(testbed, display, lamps, "invents messages", invented, "forged")
    for what, at, part, kind in (
        ("replaces their SenderID by that of another sender", 5, b"\x02", "forged"),
        ("replaces their SenderID by an unknown one", 5, b"\x09", "unknown"),
        ("replaces their epoch by the next one", 3, b"\0\2", "epoch"),
    ):
        _strike(testbed, display, lamps, what, [_claiming(datagram, at, part) for datagram in recorded], kind)
    plain = [b"on", b"", recorded[0][:20], recorded[0] + b"on", b"\x17\xfe\xfd" + bytes(2000)]
    _strike(testbed, display, lamps, "sends plaintext, truncated and oversized datagrams", plain, "malformed")
    _flood(testbed, display, lamps)
    _obey(testbed, display, lamps, switch, ["on", "off"])


def _flood(testbed, display, lamps):
    before = [(lamp.obeyed, lamp.on) for lamp in lamps]
    template = testbed.genuine[-1]
    for number in range(FLOOD):
        testbed.attack(_claiming(template, 6, (_NEXT + number).to_bytes(5, "big")) if number % 2 else random.randbytes(100))
        if number % 100 == 0:
            testbed.process_events(0)
    testbed.count(lamps)
    display.check(
        [(lamp.obeyed, lamp.on) for lamp in lamps] == before, f"floods the network with {FLOOD:,} datagrams: no lamp changes"
    )


def _lose_switch(testbed, display, lamps, switch):
    display.title("The switch loses power while it sends, and restarts")
    start = len(testbed.genuine)
    for number in range(STREAM):
        switch.write("off" if number % 2 else "on")
        if number == STREAM // 3:
            testbed.until(lambda: len(testbed.genuine) >= start + 10, "the switch to send")
    testbed.kill(switch)
    _settle(testbed, lamps)
    last = testbed.genuine[-1]
    sent = len(testbed.genuine) - start
    display.check(all(lamp.obeyed == lamp.due for lamp in lamps), f"{sent} of {STREAM} messages were sent: every lamp obeyed them")
    testbed.start(switch)
    _obey(testbed, display, lamps, switch, ["on", "off"])
    used, skipped = (int.from_bytes(datagram[6:11], "big") for datagram in (last, testbed.genuine[-2]))
    text = f"the last sequence number before was {used}, the first after is {skipped}: numbers that may be used are skipped"
    display.check(skipped > used, text)


def _lose_lamp(testbed, display, lamps, switch):
    lamp = lamps[1]
    display.title(f"{lamp.name} loses power, and the attacker replays when it is back")
    testbed.kill(lamp)
    testbed.process_events(0.5)
    testbed.start(lamp)
    _strike(testbed, display, [lamp], "replays everything recorded so far", list(testbed.genuine), "replayed")
    _obey(testbed, display, lamps, switch, ["on", "off", "on"])


def _request_state(testbed, display, lamps, switch):
    display.title(f"OpenSSL asks the switch over DTLS whether {lamps[0].name} is on")
    if not openssl.available():
        display.say("  skipped: there is no openssl here (apt-get install openssl)")
        return
    display.say(f"  $ {openssl.shown(IDENTITY)}")
    for word in ("off", "on"):
        _obey(testbed, display, lamps, switch, [word])
        answer = openssl.request(IDENTITY, testbed.key, b"lit?\n")
        display.check(answer == f"{word}\n", f"the answer is: {answer.strip() or 'nothing'}")
    answer = openssl.request(IDENTITY, bytes(16), b"lit?\n")
    display.check("alert decrypt error" in answer, "with a wrong key it gets only the alert decrypt_error")


class _ManagedNodes:
    """The manager, the dimmer and the rooms of the last part; with firmware also a porch on a serial bus."""

    def __init__(self, testbed, manager, image):
        manager("new", group="rooms", address=draw(testbed.ipv6))
        self.manager = manager
        self._testbed = testbed
        shown = manager("show", group="rooms")
        self.to = (shown["address"], shown["port"])
        self.porch = None
        if image:
            self.porch = EmulatedNode(self._provision("porch", "listener"), image, self.to)
            testbed.power_on(self.porch)  # it boots during the first parts
        self.dimmer = testbed.adopt(self._provision("dimmer", "sender"))
        roles = {2: "sender"}  # room-2 has a switch of its own
        self.rooms = [
            testbed.adopt(self._provision(f"room-{number}", roles.get(number, "listener"))) for number in range(1, ROOMS + 1)
        ]
        self.tap = namespace.Tap(self.to[1], testbed.ipv6)

    def _provision(self, name, role):
        return self.manager("provision", name=name, groups={"rooms": role})

    def listeners(self, *without):
        """Return all nodes except the dimmer and those given."""
        every = [*self.rooms, self.porch] if self.porch else self.rooms
        return [node for node in every if node not in without]

    def genuine(self):
        """Return the datagrams that members have sent since the last call."""
        return [payload for port, payload in self.tap.read() if port != self._testbed.attacker_port]

    def close(self):
        """Stop what the testbed does not stop."""
        self._testbed.tap.frames += self.tap.frames  # for --pcap
        self.tap.close()
        if self.porch:
            self.porch.close()


def _manage(testbed, display, managed):
    display.title("A manager delivers the keys of a second group over DTLS, and expels a member")
    manager, rooms = managed.manager, managed.rooms
    if managed.porch:
        display.say(
            "  The porch is real firmware on an emulated RP2040 on a serial bus; a gateway without keys connects it to the network."
        )
    else:
        display.say("  The porch, an emulated RP2040 on a serial bus, is omitted: there is no firmware for it, see above.")
    testbed.start(*[room for room in rooms if room is not rooms[1]])
    if managed.porch:
        testbed.until(lambda: managed.porch.ready, "the porch to join")
    testbed.start(managed.dimmer)  # the senders come last, so that the GSAs of the others say that these have sent nothing
    testbed.start(rooms[1])
    manager.until_settled(testbed, "rooms")
    everybody = managed.listeners()
    _send(
        testbed,
        display,
        managed,
        "on",
        everybody,
        f"{len(everybody) + 1} nodes, each with its own key, have joined: all are on",
    )
    recorded = managed.genuine()
    _replay(testbed, display, managed, recorded)
    _impersonate(testbed, display, managed)
    _expel(testbed, display, managed)
    epoch = manager("show", group="rooms")["epoch"]
    manager.kill()
    manager.start()
    testbed.kill(rooms[0])
    testbed.start(rooms[0])
    again = manager("show", group="rooms")["epoch"]
    text = f"the manager is killed and restarts: the group is in epoch {epoch} as before, and {rooms[0].name} joins again"
    display.check(again == epoch, text)
    testbed.count([*managed.listeners(), managed.dimmer])
    return recorded + managed.genuine()


def _replay(testbed, display, managed, recorded):
    """Replay and alter recorded messages, and check that no node changes."""
    nodes = managed.listeners()
    before = _totals(testbed, nodes)
    altered = [_claiming(recorded[0], 6, (_NEXT + number).to_bytes(5, "big")) for number in range(5)]
    for datagram in (*recorded, *altered):
        testbed.attack(datagram, managed.to)
        testbed.process_events(0.1)  # the porch is on a slow bus
    managed.tap.read()  # discard the attacker's own datagrams
    right = _dropped_all(testbed, nodes, before, len(recorded) + len(altered))
    display.check(right, "the attacker replays and alters recorded messages: no node changes")


def _totals(testbed, nodes):
    """Return [(commands obeyed, datagrams dropped)] of nodes."""
    testbed.count(nodes)
    return [(node.obeyed, sum(node.counts["dropped"].values())) for node in nodes]


def _dropped_all(testbed, nodes, before, count):
    """Wait until all nodes have dropped `count` datagrams since `before`; return whether they did, and did nothing else."""
    expected = [(obeyed, dropped + count) for obeyed, dropped in before]
    for _ in range(20):  # the emulated board is slow
        totals = _totals(testbed, nodes)
        if totals == expected or any(obeyed > due for (obeyed, _), (due, _) in zip(totals, expected)):
            break
        testbed.process_events(0.5)
    return totals == expected


def _impersonate(testbed, display, managed):
    """Connect to the manager with the identity of a room and a wrong key."""
    identity = managed.manager("devices")[-1]["identity"].encode()
    try:
        asyncio.run(dice.connect(("127.0.0.1", PORT), Psk(identity, bytes(16)), timeout_s=5, timer_ms=1000))
        refused = None
    except PeerError as error:
        refused = error.alert
    text = "the attacker asks the manager for keys with a room's identity: without that room's key it gets an alert"
    display.check(refused == _DECRYPT_ERROR, text)


def _expel(testbed, display, managed):
    """Expel one room while another has no power and a third one sleeps; the expelled keeps sending, while nobody else does."""
    manager, (one, gone, three) = managed.manager, managed.rooms[:3]
    testbed.kill(one)
    three.pause(True)
    epoch = manager("remove", group="rooms", devices=[gone.name])["epoch"]

    def changed():
        shown = manager("show", group="rooms")
        absent = {one.name, three.name}  # their sessions with the manager last a little longer
        return shown["active"] and set(shown["missing"]) == absent and set(shown["untold"]) <= absent

    testbed.until(changed, "the new keys to be in use on all other nodes")
    testbed.start(one)
    three.pause(False)
    text = f"{gone.name} is expelled; {one.name} had no power and {three.name} slept meanwhile: both have fetched the new keys"
    display.check(manager.until_settled(testbed, "rooms") == epoch, text)
    others = managed.listeners(gone)
    before = _totals(testbed, others)
    for _ in range(_SILENCE):
        gone.write("off")
        testbed.process_events(0.2)
    right = _dropped_all(testbed, others, before, _SILENCE)
    display.check(right, f"{gone.name} sends off, again and again, and nobody else speaks: no node obeys it")
    _send(testbed, display, managed, "off", others, f"{managed.dimmer.name} sends off: all nodes but {gone.name} obey")
    _send(testbed, display, managed, "on", others, f"{managed.dimmer.name} sends on: they obey")
    display.check(gone.on and gone.obeyed == 1, f"{gone.name} cannot read these messages: it has obeyed neither")


def _send(testbed, display, managed, word, nodes, text):
    """Let the dimmer send a word, and check that the nodes obey it within half a minute."""
    target = [node.obeyed + 1 for node in nodes]
    managed.dimmer.write(word)
    for _ in range(1500):  # an emulated board on a slow computer takes that long
        if [node.obeyed for node in nodes] == target:
            break
        testbed.process_events(0.02)
    display.check([node.obeyed for node in nodes] == target and all(node.on == (word == "on") for node in nodes), text)
