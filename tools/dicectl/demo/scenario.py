# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What happens in the demo: each part is a function that acts, and checks what came of it."""

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

LAMPS = 3
ROOMS = 8
FLOOD = 3000
STREAM = 90
_DECRYPT_ERROR = 51  # the alert
_NEXT = 1 << 20  # a sequence number that the switch will not reach


def play(testbed, display, image):
    """Play all parts; `view` has the number of checks that failed. `image` is the firmware of a board to emulate, or None."""
    with ManagerProcess(testbed.folder) as manager, contextlib.closing(_ManagedNodes(testbed, manager, image)) as managed:
        display.title("A switch and three lamps join a group")
        # The listeners first: then they know that no message was sent before.
        lamps = [testbed.add(f"lamp-{number}", "demo_lamp", listener=number == 1) for number in range(1, LAMPS + 1)]
        switch = testbed.add("switch", "demo_switch", sender=True)
        display.lamps.extend(lamps)
        testbed.start(*lamps)
        testbed.start(switch)
        display.say(
            "  Each is a MicroPython program of its own. All hold the group's keys; the attacker, on the same network, does not."
        )
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
    """Wait until every lamp has obeyed what it should, or a while has passed."""
    for _ in range(100):
        if all(lamp.obeyed >= lamp.due for lamp in lamps):
            return
        testbed.pump(0.02)


def _obey(testbed, display, lamps, switch, words):
    """Have the switch send, and check that the lamps follow."""
    for word in words:
        testbed.command(switch, word)
        testbed.pump(0.25)
    _settle(testbed, lamps)
    light = words[-1] == "on"
    right = all(lamp.obeyed == lamp.due and lamp.on == light for lamp in lamps)
    display.check(right, f"the switch sent {', '.join(words)}: every lamp obeyed, and is {words[-1]}")


def _strike(testbed, display, lamps, what, datagrams, kind):
    """Send `datagrams` as the attacker, and check that every lamp dropped them all as `kind`, and did nothing."""
    testbed.count(lamps)
    before = [(lamp.obeyed, lamp.on, lamp.counts["dropped"].get(kind, 0) + len(datagrams)) for lamp in lamps]
    for datagram in datagrams:
        testbed.attack(datagram)
        testbed.pump(0)
    testbed.count(lamps)
    after = [(lamp.obeyed, lamp.on, lamp.counts["dropped"].get(kind, 0)) for lamp in lamps]
    display.check(after == before, f"{what}: all {len(datagrams)} dropped as [bold]{kind}[/bold]")


def _with(datagram, at, part):
    """Return a copy of a record with some of its bytes replaced."""
    return datagram[:at] + part + datagram[at + len(part) :]


def _claiming(datagram, at, part):
    """Return a copy of a record with other bytes in epoch | SenderID | number, in the header and in the nonce that repeats it."""
    copy = _with(datagram, at, part)
    return _with(copy, 13, copy[3:11])


def _attack(testbed, display, lamps, switch):
    display.title("The attacker recorded all of it, and tries to turn the lamps on")
    heard = list(testbed.genuine)
    ahead = [_claiming(datagram, 6, (_NEXT + i).to_bytes(5, "big")) for i, datagram in enumerate(heard)]
    _strike(testbed, display, lamps, "sends the recorded messages again", heard, "replayed")
    _strike(testbed, display, lamps, "numbers them anew, as if they were fresh", ahead, "forged")
    flipped = [
        _with(ahead[0], 21 + bit // 8, bytes([ahead[0][21 + bit // 8] ^ 1 << bit % 8])) for bit in range(8 * len(ahead[0][21:]))
    ]
    _strike(testbed, display, lamps, "flips each bit of a sealed message in turn", flipped, "forged")
    invented = [_with(ahead[0], 21, random.randbytes(len(ahead[0]) - 21)) for _ in range(50)]
    _strike(testbed, display, lamps, "makes messages up", invented, "forged")
    for what, at, part, kind in (
        ("writes another sender on them", 5, b"\x02", "forged"),
        ("writes an invented sender on them", 5, b"\x09", "unknown"),
        ("pretends that new keys are in force", 3, b"\0\2", "epoch"),
    ):
        _strike(testbed, display, lamps, what, [_claiming(datagram, at, part) for datagram in heard], kind)
    plain = [b"on", b"", heard[0][:20], heard[0] + b"on", b"\x17\xfe\xfd" + bytes(2000)]
    _strike(testbed, display, lamps, "sends plain, cut and oversized ones", plain, "malformed")
    _flood(testbed, display, lamps)
    _obey(testbed, display, lamps, switch, ["on", "off"])


def _flood(testbed, display, lamps):
    before = [(lamp.obeyed, lamp.on) for lamp in lamps]
    template = testbed.genuine[-1]
    for number in range(FLOOD):
        testbed.attack(_claiming(template, 6, (_NEXT + number).to_bytes(5, "big")) if number % 2 else random.randbytes(100))
        if number % 100 == 0:
            testbed.pump(0)
    testbed.count(lamps)
    display.check(
        [(lamp.obeyed, lamp.on) for lamp in lamps] == before, f"floods the network with {FLOOD:,} messages: no lamp moved"
    )


def _lose_switch(testbed, display, lamps, switch):
    display.title("The switch loses power while it sends, and comes back")
    start = len(testbed.genuine)
    for number in range(STREAM):
        switch.write("off" if number % 2 else "on")
        if number == STREAM // 3:
            testbed.until(lambda: len(testbed.genuine) >= start + 10, "the switch to send")
    testbed.kill(switch)
    _settle(testbed, lamps)
    last = testbed.genuine[-1]
    sent = len(testbed.genuine) - start
    display.check(all(lamp.obeyed == lamp.due for lamp in lamps), f"{sent} of {STREAM} messages got out: every lamp obeyed those")
    testbed.start(switch)
    _obey(testbed, display, lamps, switch, ["on", "off"])
    used, skipped = (int.from_bytes(datagram[6:11], "big") for datagram in (last, testbed.genuine[-2]))
    display.check(skipped > used, f"the last number before was {used}, the first after is {skipped}: what is in doubt is skipped")


def _lose_lamp(testbed, display, lamps, switch):
    lamp = lamps[1]
    display.title(f"{lamp.name} loses power, and the attacker waits for its return")
    testbed.kill(lamp)
    testbed.pump(0.5)
    testbed.start(lamp)
    _strike(testbed, display, [lamp], "sends everything recorded so far", list(testbed.genuine), "replayed")
    _obey(testbed, display, lamps, switch, ["on", "off", "on"])


def _request_state(testbed, display, lamps, switch):
    display.title(f"OpenSSL asks the switch, over DTLS, whether {lamps[0].name} is lit")
    if not openssl.available():
        display.say("  left out, since there is no openssl here: apt-get install openssl")
        return
    display.say(f"  $ {openssl.shown(IDENTITY)}")
    for word in ("off", "on"):
        _obey(testbed, display, lamps, switch, [word])
        answer = openssl.request(IDENTITY, testbed.key, b"lit?\n")
        display.check(answer == f"{word}\n", f"it reads: {answer.strip() or 'nothing'}")
    answer = openssl.request(IDENTITY, bytes(16), b"lit?\n")
    display.check("alert decrypt error" in answer, "with a wrong key it gets no more than the alert decrypt_error")


class _ManagedNodes:
    """The manager, the dimmer and the rooms of the last part, and, where there is firmware, a porch on a serial bus."""

    def __init__(self, testbed, manager, image):
        manager("new", group="rooms")
        self.manager = manager
        self._testbed = testbed
        shown = manager("show", group="rooms")
        self.to = (shown["address"], shown["port"])
        self.porch = None
        if image:
            self.porch = EmulatedNode(self._provision("porch", "listener"), image, self.to)
            testbed.power_on(self.porch)  # it boots while the story begins
        self.dimmer = testbed.adopt(self._provision("dimmer", "sender"))
        self.rooms = [testbed.adopt(self._provision(f"room-{number}", "listener")) for number in range(1, ROOMS + 1)]
        self.tap = namespace.Tap(self.to[1])

    def _provision(self, name, role):
        return self.manager("provision", name=name, groups={"rooms": role})

    def listeners(self, *without):
        """Return all but the dimmer, and but some."""
        every = [*self.rooms, self.porch] if self.porch else self.rooms
        return [node for node in every if node not in without]

    def genuine(self):
        """Return what the dimmer has sent since the last call."""
        return [payload for port, payload in self.tap.read() if port != self._testbed.attacker_port]

    def close(self):
        """Let go of what is not the stage's."""
        self._testbed.tap.frames += self.tap.frames  # for the file that Wireshark reads
        self.tap.close()
        if self.porch:
            self.porch.close()


def _manage(testbed, display, managed):
    display.title("A manager hands out the keys of a second group, over DTLS, and takes them back")
    manager, rooms = managed.manager, managed.rooms
    if managed.porch:
        display.say(
            "  The porch is real firmware on an emulated RP2040, on a serial bus; a gateway without keys joins that to the network."
        )
    else:
        display.say("  The porch, an emulated RP2040 on a serial bus, is left out: there is no firmware for it, see above.")
    testbed.start(managed.dimmer, *rooms)
    if managed.porch:
        testbed.until(lambda: managed.porch.ready, "the porch to join")
    manager.until_settled(testbed, "rooms")
    everybody = managed.listeners()
    _send(
        testbed,
        display,
        managed,
        "on",
        everybody,
        f"{len(everybody) + 1} nodes, each with a key of its own, have joined: all are lit",
    )
    heard = managed.genuine()
    _assail(testbed, display, managed, heard)
    _intrude(testbed, display, managed)
    _expel(testbed, display, managed)
    epoch = manager("show", group="rooms")["epoch"]
    manager.kill()
    manager.start()
    testbed.kill(rooms[0])
    testbed.start(rooms[0])
    again = manager("show", group="rooms")["epoch"]
    text = f"the manager is killed and comes back: the group is in epoch {epoch} as before, and {rooms[0].name} joins again"
    display.check(again == epoch, text)
    testbed.count([*managed.listeners(), managed.dimmer])
    return heard + managed.genuine()


def _assail(testbed, display, managed, heard):
    """Replay and alter what was heard, and check that nobody moves."""
    nodes = managed.listeners()
    testbed.count(nodes)
    before = [(node.obeyed, sum(node.counts["dropped"].values())) for node in nodes]
    altered = [_claiming(heard[0], 6, (_NEXT + number).to_bytes(5, "big")) for number in range(5)]
    for datagram in (*heard, *altered):
        testbed.attack(datagram, managed.to)
        testbed.pump(0.1)  # the porch is on a slow bus
    managed.tap.read()  # its own
    for _ in range(20):  # and on a slow computer it takes its time
        testbed.count(nodes)
        after = [(node.obeyed, sum(node.counts["dropped"].values()) - len(heard) - len(altered)) for node in nodes]
        if after == before:
            break
        testbed.pump(0.5)
    display.check(after == before, "the attacker replays and alters what it heard: nobody moves")


def _intrude(testbed, display, managed):
    """Ask the manager for keys with the identity of a room and a key that is not the room's."""
    identity = managed.manager("devices")[-1]["identity"].encode()
    try:
        asyncio.run(dice.connect(("127.0.0.1", PORT), Psk(identity, bytes(16)), timeout_s=5, timer_ms=1000))
        refused = None
    except PeerError as error:
        refused = error.alert
    text = "the attacker asks the manager for the keys in a room's name: without that room's own key it gets an alert"
    display.check(refused == _DECRYPT_ERROR, text)


def _expel(testbed, display, managed):
    """Expel one room while another has no power and a third one sleeps; both come back when the new keys are long in use."""
    manager, (one, gone, three) = managed.manager, managed.rooms[:3]
    testbed.kill(one)
    three.pause(True)
    epoch = manager("remove", group="rooms", devices=[gone.name])["epoch"]

    def changed():
        shown = manager("show", group="rooms")
        return shown["active"] and not shown["untold"] and set(shown["missing"]) == {one.name, three.name}

    testbed.until(changed, "the new keys to be in use, but for who is away")
    _send(
        testbed,
        display,
        managed,
        "off",
        managed.listeners(one, gone, three),
        f"{gone.name} is expelled: all that are awake are dark",
    )
    display.check(gone.on and gone.obeyed == 1, f"and {gone.name} has heard nothing: it is lit still")
    dimmer = managed.dimmer.name
    testbed.until(
        lambda: any(m["sent"] for m in manager("members", group="rooms") if m["device"] == dimmer),
        f"{dimmer} to report what it sent",
    )
    testbed.start(one)
    three.pause(False)
    right = manager.until_settled(testbed, "rooms") == epoch
    text = f"{one.name} had no power and {three.name} slept while the keys changed: both have caught up, and all but one are lit"
    _send(testbed, display, managed, "on", managed.listeners(gone), text)
    display.check(right and gone.obeyed == 1, f"{gone.name} is still blind")


def _send(testbed, display, managed, word, nodes, text):
    """Have the dimmer send a word, and check that others follow it within a while."""
    target = [node.obeyed + 1 for node in nodes]
    managed.dimmer.write(word)
    for _ in range(1500):  # half a minute, which an emulated board on a slow computer may take
        if [node.obeyed for node in nodes] == target:
            break
        testbed.pump(0.02)
    display.check([node.obeyed for node in nodes] == target and all(node.on == (word == "on") for node in nodes), text)
