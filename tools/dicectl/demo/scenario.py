# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What happens in the demo: each part is a function that acts, and checks what came of it."""

import asyncio
import contextlib
import random

import dice
from dice.dtls.kx_psk import Psk
from dice.errors import PeerError
from dicectl.demo import openssl as s_client
from dicectl.demo.emulated_node import Board
from dicectl.demo.manager_process import PORT, ManagerProcess
from dicectl.demo.nodes import HEAP_KB, IDENTITY, SERVER_HEAP_KB, repeated_nonces
from dicectl.net import namespace as netns

LAMPS = 3
ROOMS = 8
FLOOD = 3000
STREAM = 90
_DECRYPT_ERROR = 51  # the alert
_NEXT = 1 << 20  # a sequence number that the switch will not reach


def play(stage, view, image):
    """Play all parts; `view` has the number of checks that failed. `image` is the firmware of a board to emulate, or None."""
    with ManagerProcess(stage.folder) as house, contextlib.closing(_Building(stage, house, image)) as building:
        view.title("A switch and three lamps join a group")
        # The listeners first: then they know that no message was sent before.
        lamps = [stage.add(f"lamp-{number}", "demo_lamp", listener=number == 1) for number in range(1, LAMPS + 1)]
        switch = stage.add("switch", "demo_switch", sender=True)
        view.lamps.extend(lamps)
        stage.start(*lamps)
        stage.start(switch)
        view.say(
            "  Each is a MicroPython program of its own. All hold the group's keys; the attacker, on the same network, does not."
        )
        _obey(stage, view, lamps, switch, ["on", "off"] * 3)
        _attack(stage, view, lamps, switch)
        _lose_switch(stage, view, lamps, switch)
        _lose_lamp(stage, view, lamps, switch)
        _ask(stage, view, lamps, switch)
        managed = _manage(stage, view, building)
        stage.count(lamps)
        sent = stage.genuine + managed
        view.check(
            not repeated_nonces(stage.genuine) + repeated_nonces(managed),
            f"{len(sent)} messages on the wire, and no two with the same nonce",
        )
        view.verdict(HEAP_KB)
        view.costs(SERVER_HEAP_KB, [building.dimmer, *building.rooms], building.porch, len(managed[0]))
        view.end()


def _settle(stage, lamps):
    """Wait until every lamp has obeyed what it should, or a while has passed."""
    for _ in range(100):
        if all(lamp.obeyed >= lamp.due for lamp in lamps):
            return
        stage.pump(0.02)


def _obey(stage, view, lamps, switch, words):
    """Have the switch send, and check that the lamps follow."""
    for word in words:
        stage.command(switch, word)
        stage.pump(0.25)
    _settle(stage, lamps)
    light = words[-1] == "on"
    right = all(lamp.obeyed == lamp.due and lamp.on == light for lamp in lamps)
    view.check(right, f"the switch sent {', '.join(words)}: every lamp obeyed, and is {words[-1]}")


def _strike(stage, view, lamps, what, datagrams, kind):
    """Send `datagrams` as the attacker, and check that every lamp dropped them all as `kind`, and did nothing."""
    stage.count(lamps)
    before = [(lamp.obeyed, lamp.on, lamp.counts["dropped"].get(kind, 0) + len(datagrams)) for lamp in lamps]
    for datagram in datagrams:
        stage.attack(datagram)
        stage.pump(0)
    stage.count(lamps)
    after = [(lamp.obeyed, lamp.on, lamp.counts["dropped"].get(kind, 0)) for lamp in lamps]
    view.check(after == before, f"{what}: all {len(datagrams)} dropped as [bold]{kind}[/bold]")


def _with(datagram, at, part):
    """Return a copy of a record with some of its bytes replaced."""
    return datagram[:at] + part + datagram[at + len(part) :]


def _claiming(datagram, at, part):
    """Return a copy of a record with other bytes in epoch | SenderID | number, in the header and in the nonce that repeats it."""
    copy = _with(datagram, at, part)
    return _with(copy, 13, copy[3:11])


def _attack(stage, view, lamps, switch):
    view.title("The attacker recorded all of it, and tries to turn the lamps on")
    heard = list(stage.genuine)
    ahead = [_claiming(datagram, 6, (_NEXT + i).to_bytes(5, "big")) for i, datagram in enumerate(heard)]
    _strike(stage, view, lamps, "sends the recorded messages again", heard, "replayed")
    _strike(stage, view, lamps, "numbers them anew, as if they were fresh", ahead, "forged")
    flipped = [
        _with(ahead[0], 21 + bit // 8, bytes([ahead[0][21 + bit // 8] ^ 1 << bit % 8])) for bit in range(8 * len(ahead[0][21:]))
    ]
    _strike(stage, view, lamps, "flips each bit of a sealed message in turn", flipped, "forged")
    invented = [_with(ahead[0], 21, random.randbytes(len(ahead[0]) - 21)) for _ in range(50)]
    _strike(stage, view, lamps, "makes messages up", invented, "forged")
    for what, at, part, kind in (
        ("writes another sender on them", 5, b"\x02", "forged"),
        ("writes an invented sender on them", 5, b"\x09", "unknown"),
        ("pretends that new keys are in force", 3, b"\0\2", "epoch"),
    ):
        _strike(stage, view, lamps, what, [_claiming(datagram, at, part) for datagram in heard], kind)
    plain = [b"on", b"", heard[0][:20], heard[0] + b"on", b"\x17\xfe\xfd" + bytes(2000)]
    _strike(stage, view, lamps, "sends plain, cut and oversized ones", plain, "malformed")
    _flood(stage, view, lamps)
    _obey(stage, view, lamps, switch, ["on", "off"])


def _flood(stage, view, lamps):
    before = [(lamp.obeyed, lamp.on) for lamp in lamps]
    template = stage.genuine[-1]
    for number in range(FLOOD):
        stage.attack(_claiming(template, 6, (_NEXT + number).to_bytes(5, "big")) if number % 2 else random.randbytes(100))
        if number % 100 == 0:
            stage.pump(0)
    stage.count(lamps)
    view.check([(lamp.obeyed, lamp.on) for lamp in lamps] == before, f"floods the network with {FLOOD:,} messages: no lamp moved")


def _lose_switch(stage, view, lamps, switch):
    view.title("The switch loses power while it sends, and comes back")
    start = len(stage.genuine)
    for number in range(STREAM):
        switch.write("off" if number % 2 else "on")
        if number == STREAM // 3:
            stage.until(lambda: len(stage.genuine) >= start + 10, "the switch to send")
    stage.kill(switch)
    _settle(stage, lamps)
    last = stage.genuine[-1]
    sent = len(stage.genuine) - start
    view.check(all(lamp.obeyed == lamp.due for lamp in lamps), f"{sent} of {STREAM} messages got out: every lamp obeyed those")
    stage.start(switch)
    _obey(stage, view, lamps, switch, ["on", "off"])
    used, skipped = (int.from_bytes(datagram[6:11], "big") for datagram in (last, stage.genuine[-2]))
    view.check(skipped > used, f"the last number before was {used}, the first after is {skipped}: what is in doubt is skipped")


def _lose_lamp(stage, view, lamps, switch):
    lamp = lamps[1]
    view.title(f"{lamp.name} loses power, and the attacker waits for its return")
    stage.kill(lamp)
    stage.pump(0.5)
    stage.start(lamp)
    _strike(stage, view, [lamp], "sends everything recorded so far", list(stage.genuine), "replayed")
    _obey(stage, view, lamps, switch, ["on", "off", "on"])


def _ask(stage, view, lamps, switch):
    view.title(f"OpenSSL asks the switch, over DTLS, whether {lamps[0].name} is lit")
    if not s_client.available():
        view.say("  left out, since there is no openssl here: apt-get install openssl")
        return
    view.say(f"  $ {s_client.shown(IDENTITY)}")
    for word in ("off", "on"):
        _obey(stage, view, lamps, switch, [word])
        answer = s_client.ask(IDENTITY, stage.key, b"lit?\n")
        view.check(answer == f"{word}\n", f"it reads: {answer.strip() or 'nothing'}")
    answer = s_client.ask(IDENTITY, bytes(16), b"lit?\n")
    view.check("alert decrypt error" in answer, "with a wrong key it gets no more than the alert decrypt_error")


class _Building:
    """The manager, the dimmer and the rooms of the last part, and, where there is firmware, a porch on a serial bus."""

    def __init__(self, stage, house, image):
        house("new", group="rooms")
        self.house = house
        self._stage = stage
        shown = house("show", group="rooms")
        self.to = (shown["address"], shown["port"])
        self.porch = None
        if image:
            self.porch = Board(self._provision("porch", "listener"), image, self.to)
            stage.power_on(self.porch)  # it boots while the story begins
        self.dimmer = stage.adopt(self._provision("dimmer", "sender"))
        self.rooms = [stage.adopt(self._provision(f"room-{number}", "listener")) for number in range(1, ROOMS + 1)]
        self.tap = netns.Tap(self.to[1])

    def _provision(self, name, role):
        return self.house("provision", name=name, groups={"rooms": role})

    def listeners(self, *without):
        """Return all but the dimmer, and but some."""
        every = [*self.rooms, self.porch] if self.porch else self.rooms
        return [node for node in every if node not in without]

    def genuine(self):
        """Return what the dimmer has sent since the last call."""
        return [payload for port, payload in self.tap.read() if port != self._stage.attacker_port]

    def close(self):
        """Let go of what is not the stage's."""
        self._stage.tap.frames += self.tap.frames  # for the file that Wireshark reads
        self.tap.close()
        if self.porch:
            self.porch.close()


def _manage(stage, view, building):
    view.title("A manager hands out the keys of a second group, over DTLS, and takes them back")
    house, rooms = building.house, building.rooms
    if building.porch:
        view.say(
            "  The porch is real firmware on an emulated RP2040, on a serial bus; a gateway without keys joins that to the network."
        )
    else:
        view.say("  The porch, an emulated RP2040 on a serial bus, is left out: there is no firmware for it, see above.")
    stage.start(building.dimmer, *rooms)
    if building.porch:
        stage.until(lambda: building.porch.ready, "the porch to join")
    house.until_settled(stage, "rooms")
    everybody = building.listeners()
    _tell(
        stage, view, building, "on", everybody, f"{len(everybody) + 1} nodes, each with a key of its own, have joined: all are lit"
    )
    heard = building.genuine()
    _assail(stage, view, building, heard)
    _intrude(stage, view, building)
    _expel(stage, view, building)
    epoch = house("show", group="rooms")["epoch"]
    house.kill()
    house.start()
    stage.kill(rooms[0])
    stage.start(rooms[0])
    again = house("show", group="rooms")["epoch"]
    text = f"the manager is killed and comes back: the group is in epoch {epoch} as before, and {rooms[0].name} joins again"
    view.check(again == epoch, text)
    stage.count([*building.listeners(), building.dimmer])
    return heard + building.genuine()


def _assail(stage, view, building, heard):
    """Replay and alter what was heard, and check that nobody moves."""
    nodes = building.listeners()
    stage.count(nodes)
    before = [(node.obeyed, sum(node.counts["dropped"].values())) for node in nodes]
    altered = [_claiming(heard[0], 6, (_NEXT + number).to_bytes(5, "big")) for number in range(5)]
    for datagram in (*heard, *altered):
        stage.attack(datagram, building.to)
        stage.pump(0.1)  # the porch is on a slow bus
    building.tap.read()  # its own
    for _ in range(20):  # and on a slow computer it takes its time
        stage.count(nodes)
        after = [(node.obeyed, sum(node.counts["dropped"].values()) - len(heard) - len(altered)) for node in nodes]
        if after == before:
            break
        stage.pump(0.5)
    view.check(after == before, "the attacker replays and alters what it heard: nobody moves")


def _intrude(stage, view, building):
    """Ask the manager for keys with the identity of a room and a key that is not the room's."""
    identity = building.house("devices")[-1]["identity"].encode()
    try:
        asyncio.run(dice.connect(("127.0.0.1", PORT), Psk(identity, bytes(16)), timeout_s=5, timer_ms=1000))
        refused = None
    except PeerError as error:
        refused = error.alert
    text = "the attacker asks the manager for the keys in a room's name: without that room's own key it gets an alert"
    view.check(refused == _DECRYPT_ERROR, text)


def _expel(stage, view, building):
    """Expel one room while another has no power and a third one sleeps; both come back when the new keys are long in use."""
    house, (one, gone, three) = building.house, building.rooms[:3]
    stage.kill(one)
    three.pause(True)
    epoch = house("remove", group="rooms", devices=[gone.name])["epoch"]

    def changed():
        shown = house("show", group="rooms")
        return shown["active"] and not shown["untold"] and set(shown["missing"]) == {one.name, three.name}

    stage.until(changed, "the new keys to be in use, but for who is away")
    _tell(
        stage, view, building, "off", building.listeners(one, gone, three), f"{gone.name} is expelled: all that are awake are dark"
    )
    view.check(gone.on and gone.obeyed == 1, f"and {gone.name} has heard nothing: it is lit still")
    dimmer = building.dimmer.name
    stage.until(
        lambda: any(m["sent"] for m in house("members", group="rooms") if m["device"] == dimmer), f"{dimmer} to report what it sent"
    )
    stage.start(one)
    three.pause(False)
    right = house.until_settled(stage, "rooms") == epoch
    text = f"{one.name} had no power and {three.name} slept while the keys changed: both have caught up, and all but one are lit"
    _tell(stage, view, building, "on", building.listeners(gone), text)
    view.check(right and gone.obeyed == 1, f"{gone.name} is still blind")


def _tell(stage, view, building, word, nodes, text):
    """Have the dimmer send a word, and check that others follow it within a while."""
    target = [node.obeyed + 1 for node in nodes]
    building.dimmer.write(word)
    for _ in range(1500):  # half a minute, which an emulated board on a slow computer may take
        if [node.obeyed for node in nodes] == target:
            break
        stage.pump(0.02)
    view.check([node.obeyed for node in nodes] == target and all(node.on == (word == "on") for node in nodes), text)
