# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/examples/sleeper.py as it stands: each life a process of its own that calls from a new port; all is on the wire."""

import asyncio
import json
import random
import shutil

import pytest

import dice
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.sleep import restore
from dice.errors import StoreError
from dice.reasons import E_STALE
from dice.store import FileStore
from dice.transport.udp import Unicast
from dicectl import resources
from dicectl.firmware import unix_port
from host_tests.patience import soon

PORT = 5684
IDENTITY, KEY, SECRET = b"sensor-7", bytes(range(16)), bytes(range(16, 32))
CID_BYTES = 8  # so that no two sessions ever have the same
LIVES = 6
KILLS = 60

# What the sensor measures is in a file; deep sleep ends the process, since the unix port cannot wake.
MACHINE = """
import sys

class ADC:
    def __init__(self, pin):
        assert pin == 26

    def read_u16(self):
        with open("measured") as file:
            return int(file.read())

def deepsleep(ms):
    print("sleeps", ms)
    sys.exit()
"""


class Wire(Unicast):
    """The server's socket, and all that was on it: `passed` lists (direction, (host, port, life), datagram).

    `life` is part of an address, since the kernel may give a port to more than one.
    """

    def __init__(self):
        super().__init__(None, PORT)
        self.life = 0
        self.passed = []

    def receive(self):
        datagram, source = super().receive()
        if datagram is None:
            return None, None
        address = (*source, self.life)
        self.passed.append(("up", address, datagram))
        return datagram, address

    def send(self, datagram, address=None):
        self.passed.append(("down", address, bytes(datagram)))
        super().send(datagram, address[:2])

    def ports(self):
        """Return the source port of each life that sent."""
        return [port for port, _ in dict.fromkeys((port, life) for _, (_, port, life), _ in self.passed)]

    def handshakes(self):
        """Return how many have begun: the client's randoms of all ClientHellos."""
        hellos = [datagram for direction, _, datagram in self.passed if direction == "up" and datagram[::13][:2] == b"\x16\x01"]
        return len({datagram[27:59] for datagram in hellos})

    def nonces(self):
        """Return (direction, connection id of the session, epoch | sequence number) of all protected records."""
        found = []
        sessions = {}  # by address
        for direction, address, datagram in self.passed:
            while datagram:
                cid = datagram[11 : 11 + CID_BYTES] if datagram[0] == 25 else b""
                start = 13 + len(cid)
                end = start + int.from_bytes(datagram[start - 2 : start], "big")
                if cid:
                    sessions[address] = cid
                if datagram[4]:
                    assert datagram[start : start + 8] == datagram[3:11], "the explicit nonce is epoch | sequence number"
                    found.append((direction, sessions[address], datagram[3:11]))
                datagram = datagram[end:]
        return found


class SensorServer:
    """A server, and the sensor that reports to it when it is awake."""

    def __init__(self, folder):
        self.folder = folder
        self.heard = []
        self.answers = True
        self._told = 0
        self._service = None
        (folder / "machine.py").write_text(MACHINE)
        settings = {"host": "127.0.0.1", "port": PORT, "identity": IDENTITY.decode(), "key": KEY.hex(), "secret": SECRET.hex()}
        (folder / "session.json").write_text(json.dumps(settings))

    async def __aenter__(self):
        self.wire = Wire()
        keys = PskLookup({IDENTITY: KEY}.get)
        options = {"cid_bytes": CID_BYTES, "sessions_max": LIVES + KILLS, "half_open_max": KILLS}
        self._service = await dice.serve(PORT, keys, self._hear, transport=self.wire, timer_ms=1000, **options)
        return self

    async def __aexit__(self, *_):
        self._service.close()

    async def _hear(self, connection):
        async for message in connection:
            self.heard.append(int(message))
            if self.answers:
                await connection.send(b"thanks for " + message)

    def forget(self):
        """Know no session any more, as after a power failure of the server."""
        self._service.listener.peers.clear()

    async def wake(self):
        """Begin a life, with something new to tell; return its process."""
        self.wire.life += 1
        self._told += 1
        (self.folder / "measured").write_text(str(self._told))
        return await asyncio.create_subprocess_exec(
            unix_port.find(),
            str(resources.EXAMPLES / "sleeper.py"),
            cwd=self.folder,
            env=unix_port.environment(f"{self.folder}:{resources.LIB}"),
            stdout=asyncio.subprocess.PIPE,
        )

    async def live(self):
        """Wake, tell, be answered, save, sleep."""
        process = await self.wake()
        printed, _ = await soon(process.communicate())
        assert printed.decode() == f"b'thanks for {self._told}'\nsleeps 600000\n"
        assert self.heard[-1] == self._told

    async def die(self, reached, after_s=0.0):
        """Wake, and have the power fail some time after `reached()` or, where it is earlier, when all is done."""
        process = await self.wake()
        while not reached() and process.returncode is None:
            await asyncio.sleep(0)
        await asyncio.sleep(after_s)
        if process.returncode is None:
            process.kill()
        await process.communicate()
        await asyncio.sleep(0.02)  # for what is still in the server's socket

    async def die_unanswered(self):
        """Have the power fail when the report has arrived, and before anything can be saved."""
        self.answers = False
        await self.die(lambda: self._told in self.heard)
        assert self.heard[-1] == self._told
        self.answers = True

    def counter(self):
        """Return what tells one content of the counter's file from another."""
        return (self.folder / "dtls").stat().st_mtime_ns


def run(in_network, function, folder):
    """Return what the coroutine function returns that plays in a garden, in a network of its own."""

    async def play():
        async with SensorServer(folder) as garden:
            return await function(garden)

    return in_network(lambda: asyncio.run(play()))


def assert_every_nonce_is_new(nonces):
    assert nonces and len(set(nonces)) == len(nonces), "a nonce was repeated"
    for way in dict.fromkeys(nonce[:2] for nonce in nonces):
        numbers = [number for *session, number in nonces if tuple(session) == way]
        assert numbers == sorted(numbers), "after a sleep, counting went on below the mark"


async def _sleep_often(garden):
    for _ in range(LIVES):
        await garden.live()
    return garden.heard, garden.wire.ports(), garden.wire.handshakes(), garden.wire.nonces()


def test_one_handshake_for_many_lives(in_network, tmp_path):
    """Each life tells one record from a port of its own, as behind a NAT that forgot, and is answered there."""
    heard, ports, handshakes, nonces = run(in_network, _sleep_often, tmp_path)
    assert heard == list(range(1, LIVES + 1))
    assert len(ports) == LIVES and len(set(ports)) > 1
    assert handshakes == 1
    assert_every_nonce_is_new(nonces)
    for way in ("up", "down"):  # Finished, and a record in each life: nothing else
        numbers = [number for direction, _, number in nonces if direction == way]
        assert numbers == [(1 << 48 | sequence).to_bytes(8, "big") for sequence in range(LIVES + 1)]


async def _fail_after_sending(garden):
    for _ in range(3):
        await garden.live()
        await garden.live()
        await garden.die_unanswered()
    await garden.live()
    return garden.heard, garden.wire.handshakes(), garden.wire.nonces()


def test_killed_between_sending_and_saving(in_network, tmp_path):
    """The server has its report; what had been saved before is refused, and the next life connects anew."""
    heard, handshakes, nonces = run(in_network, _fail_after_sending, tmp_path)
    assert heard == list(range(1, 11))
    assert handshakes == 1 + 3
    assert_every_nonce_is_new(nonces)


async def _fail_at_any_time(garden):
    random.seed(1)
    await garden.live()
    for number in range(KILLS):
        before = garden.counter()
        if number % 4 == 0:
            await garden.live()
        elif number % 4 == 1:
            await garden.die(lambda: True, random.uniform(0, 0.15))
        else:
            await garden.die(lambda before=before: garden.counter() != before, random.uniform(0, 0.01))
    await garden.live()
    return garden.heard, garden.wire.handshakes(), garden.wire.nonces()


def test_killed_at_any_time(in_network, tmp_path):
    """While it starts, connects, sends, waits or saves; mostly after its counter was written, which restoring and saving do."""
    heard, handshakes, nonces = run(in_network, _fail_at_any_time, tmp_path)
    print(f"{KILLS} kills, {len(heard)} reports, {handshakes} handshakes, {len(nonces)} protected records")
    assert heard == sorted(set(heard))
    assert handshakes > KILLS // 20, "too few such kills: the test shows nothing"
    assert_every_nonce_is_new(nonces)


def _stale(folder, store):
    with pytest.raises(StoreError) as caught:
        restore((folder / "saved").read_bytes(), FileStore(str(store)), SECRET, 0)
    return caught.value.reason == E_STALE


async def _lose(garden):
    """Lose the counter; then have an earlier session come back, as from a backup; then have the server forget."""
    folder = garden.folder
    handshakes = []
    for _ in range(2):
        await garden.live()
    shutil.copy(folder / "saved", folder / "backup")
    (folder / "dtls").unlink()
    refused = [_stale(folder, folder)]
    await garden.live()
    handshakes.append(garden.wire.handshakes())
    await garden.live()
    await garden.live()
    shutil.copy(folder / "backup", folder / "saved")
    refused.append(_stale(folder, folder))
    await garden.live()
    handshakes.append(garden.wire.handshakes())
    garden.forget()
    await garden.live()
    handshakes.append(garden.wire.handshakes())
    return refused, handshakes, garden.heard, garden.wire.nonces()


def test_what_cannot_go_on_begins_anew(in_network, tmp_path):
    """Without its counter, or with that of a later life, what was saved is refused; and a server that forgot does not answer."""
    refused, handshakes, heard, nonces = run(in_network, _lose, tmp_path)
    assert refused == [True, True]
    assert handshakes == [2, 3, 4]
    assert heard == list(range(1, 8))
    assert_every_nonce_is_new(nonces)
