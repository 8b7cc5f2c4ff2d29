# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/examples/sleeper.py unchanged: each life is a process of its own with a new port; all datagrams are recorded."""

import asyncio
import json
import random
import re
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
CID_BYTES = 8  # so that no two sessions have the same one
LIVES = 6
KILLS = 60

# The sensor's reading is in a file. Deep sleep ends the process, because the unix port cannot wake.
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
# A double of the RTC memory of an ESP32: a file, which is removed when the power fails.
RTC = """
class RTC:
    def memory(self, data=None):
        try:
            if data is None:
                with open("rtc", "rb") as file:
                    return file.read()
        except OSError:
            return b""
        if len(data) > BYTES:
            raise ValueError("buffer too long")
        with open("rtc", "wb") as file:
            file.write(data)

BYTES = 2048
"""


class RecordingSocket(Unicast):
    """The server's socket. `passed` lists (direction, (host, port, ..., life), datagram) of all its datagrams.

    `life` is part of the address, because the kernel may give a port to more than one life.
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
        super().send(datagram, address[:-1])

    def ports(self):
        """Return the source port of each life that sent."""
        return [port for port, _ in dict.fromkeys((address[1], address[-1]) for _, address, _ in self.passed)]

    def handshakes(self):
        """Return how many handshakes have begun: the client randoms of all ClientHellos."""
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
                    assert datagram[start : start + 8] == datagram[3:11], "the explicit nonce is not epoch | sequence number"
                    found.append((direction, sessions[address], datagram[3:11]))
                datagram = datagram[end:]
        return found


class SensorServer:
    """A server, and the sensor that reports to it when it is awake."""

    def __init__(self, folder):
        self.folder = folder
        self.received = []
        self.answers = True
        self.says = []  # beside the answer and the costs
        self._reported = 0
        self._service = None
        (folder / "machine.py").write_text(MACHINE)
        settings = {"host": "127.0.0.1", "port": PORT, "identity": IDENTITY.decode(), "key": KEY.hex(), "secret": SECRET.hex()}
        (folder / "session.json").write_text(json.dumps(settings))

    async def __aenter__(self):
        self.wire = RecordingSocket()
        keys = PskLookup({IDENTITY: KEY}.get)
        options = {"cid_bytes": CID_BYTES, "sessions_max": LIVES + KILLS, "half_open_max": KILLS}
        self._service = await dice.serve(PORT, keys, self._handle, transport=self.wire, timer_ms=1000, **options)
        return self

    async def __aexit__(self, *_):
        self._service.close()

    async def _handle(self, connection):
        async for message in connection:
            self.received.append(int(message))
            if self.answers:
                await connection.send(b"thanks for " + message)

    def forget(self):
        """Discard all sessions, as after a power failure of the server."""
        self._service.listener.sessions.clear()

    async def wake(self):
        """Start a life with a new reading; return its process."""
        self.wire.life += 1
        self._reported += 1
        (self.folder / "measured").write_text(str(self._reported))
        return await asyncio.create_subprocess_exec(
            unix_port.find(),
            str(resources.EXAMPLES / "sleeper.py"),
            cwd=self.folder,
            env=unix_port.environment(f"{self.folder}:{resources.LIB}"),
            stdout=asyncio.subprocess.PIPE,
        )

    async def live(self):
        """Wake, report, receive the answer, save, sleep."""
        process = await self.wake()
        printed, _ = await soon(process.communicate())
        answer, *said, cost, sleeps = printed.decode().splitlines()
        assert (answer, sleeps) == (f"b'thanks for {self._reported}'", "sleeps 600000")
        assert [re.sub(r"\d+", "N", line) for line in said] == self.says
        assert self.received[-1] == self._reported
        passed = [(way, len(data)) for way, address, data in self.wire.passed if address[-1] == self.wire.life]
        sent, received = (sum(size for direction, size in passed if direction == way) for way in ("up", "down"))
        assert re.fullmatch(rf"awake \d+ ms since power-up, {sent} bytes sent, {received} received", cost), cost
        return sent, received

    async def die(self, reached, after_s=0.0):
        """Wake, and cut the power some time after `reached()`, or at the end of the life if that is earlier."""
        process = await self.wake()
        while not reached() and process.returncode is None:
            await asyncio.sleep(0)
        await asyncio.sleep(after_s)
        if process.returncode is None:
            process.kill()
        await process.communicate()
        await asyncio.sleep(0.02)  # for datagrams in the server's socket

    async def die_unanswered(self):
        """Cut the power when the report has arrived, before anything can be saved."""
        self.answers = False
        await self.die(lambda: self._reported in self.received)
        assert self.received[-1] == self._reported
        self.answers = True

    def counter(self):
        """Return a value that differs for each write of the counter's file."""
        return (self.folder / "dtls").stat().st_mtime_ns


def run(in_network, function, folder):
    """Run `function(server)` in a network of its own; return its result."""

    async def inside():
        async with SensorServer(folder) as server:
            return await function(server)

    return in_network(lambda: asyncio.run(inside()))


def assert_every_nonce_is_new(nonces):
    assert nonces and len(set(nonces)) == len(nonces), "a nonce was repeated"
    for way in dict.fromkeys(nonce[:2] for nonce in nonces):
        numbers = [number for *session, number in nonces if tuple(session) == way]
        assert numbers == sorted(numbers), "after a sleep, the numbers continued below the reserved ones"


async def _sleep_often(server):
    for _ in range(LIVES):
        await server.live()
    return server.received, server.wire.ports(), server.wire.handshakes(), server.wire.nonces()


def test_one_handshake_serves_many_lives(in_network, tmp_path):
    """Each life sends one record from a port of its own, as behind a NAT that forgot it, and is answered there."""
    received, ports, handshakes, nonces = run(in_network, _sleep_often, tmp_path)
    assert received == list(range(1, LIVES + 1))
    assert len(ports) == LIVES and len(set(ports)) > 1
    assert handshakes == 1
    assert_every_nonce_is_new(nonces)
    for way in ("up", "down"):  # in each direction: Finished, and one record in each life
        numbers = [number for direction, _, number in nonces if direction == way]
        assert numbers == [(1 << 48 | sequence).to_bytes(8, "big") for sequence in range(LIVES + 1)]


async def _fail_after_sending(server):
    for _ in range(3):
        await server.live()
        await server.live()
        await server.die_unanswered()
    await server.live()
    return server.received, server.wire.handshakes(), server.wire.nonces()


def test_a_sensor_killed_between_sending_and_saving_connects_anew(in_network, tmp_path):
    """The server has its report. The session saved before is refused, so the next life performs a handshake."""
    received, handshakes, nonces = run(in_network, _fail_after_sending, tmp_path)
    assert received == list(range(1, 11))
    assert handshakes == 1 + 3
    assert_every_nonce_is_new(nonces)


async def _fail_at_any_time(server):
    random.seed(1)
    await server.live()
    for number in range(KILLS):
        before = server.counter()
        if number % 4 == 0:
            await server.live()
        elif number % 4 == 1:
            await server.die(lambda: True, random.uniform(0, 0.15))
        else:
            await server.die(lambda before=before: server.counter() != before, random.uniform(0, 0.01))
    await server.live()
    return server.received, server.wire.handshakes(), server.wire.nonces()


def test_a_sensor_killed_at_any_time_repeats_no_nonce_and_no_report(in_network, tmp_path):
    """While it starts, connects, sends, waits or saves; mostly after a write of its counter, which restore and save perform."""
    received, handshakes, nonces = run(in_network, _fail_at_any_time, tmp_path)
    print(f"{KILLS} kills, {len(received)} reports, {handshakes} handshakes, {len(nonces)} protected records")
    assert received == sorted(set(received))
    assert handshakes > KILLS // 20, "too few such kills to prove anything"
    assert_every_nonce_is_new(nonces)


def _stale(folder, store):
    with pytest.raises(StoreError) as caught:
        restore((folder / "saved").read_bytes(), FileStore(str(store)), SECRET, 0)
    return caught.value.reason == E_STALE


async def _lose(server):
    """Lose the counter; then restore an earlier session, as from a backup; then let the server discard its sessions."""
    folder = server.folder
    handshakes = []
    for _ in range(2):
        await server.live()
    shutil.copy(folder / "saved", folder / "backup")
    (folder / "dtls").unlink()
    refused = [_stale(folder, folder)]
    await server.live()
    handshakes.append(server.wire.handshakes())
    await server.live()
    await server.live()
    shutil.copy(folder / "backup", folder / "saved")
    refused.append(_stale(folder, folder))
    await server.live()
    handshakes.append(server.wire.handshakes())
    server.forget()
    await server.live()
    handshakes.append(server.wire.handshakes())
    return refused, handshakes, server.received, server.wire.nonces()


def test_a_session_that_cannot_be_continued_is_replaced_by_a_new_one(in_network, tmp_path):
    """A saved session is refused without its counter, or with that of a later life. A server without the session is silent."""
    refused, handshakes, received, nonces = run(in_network, _lose, tmp_path)
    assert refused == [True, True]
    assert handshakes == [2, 3, 4]
    assert received == list(range(1, 8))
    assert_every_nonce_is_new(nonces)


async def _sleep_with_rtc_memory(server):
    """Sleep with RTC memory, lose power twice, and lose it while awake."""
    folder = server.folder
    with open(folder / "machine.py", "a") as file:
        file.write(RTC)
    costs, writes = [], []
    for turn in range(12):
        if turn in (4, 8):
            (folder / "rtc").unlink()
        if turn == 6:
            await server.die_unanswered()
        costs.append(await server.live())
        writes.append(server.counter())
    return costs, len(set(writes)), server.wire.handshakes(), server.wire.nonces(), {path.name for path in folder.iterdir()}


def test_with_rtc_memory_a_report_is_two_datagrams_and_the_flash_is_hardly_written(in_network, tmp_path):
    """After a power failure a new session follows, and after a life that was cut short, too. No session is in a file."""
    costs, writes, handshakes, nonces, files = run(in_network, _sleep_with_rtc_memory, tmp_path)
    assert handshakes == 1 + 2 + 1
    assert_every_nonce_is_new(nonces)
    assert "saved" not in files
    assert writes < len(costs), "a store in flash is written in each life"
    resumed = [cost for number, cost in enumerate(costs) if number not in (0, 4, 6, 8)]
    assert all(sent < 60 and received < 60 for sent, received in resumed), "one record each"


async def _sleep_with_little_memory(server):
    """Sleep with a session in RTC memory; then that has too little room for one, with the old session in it."""
    folder = server.folder
    machine = (folder / "machine.py").read_text() + RTC
    (folder / "machine.py").write_text(machine)
    await server.live()
    (folder / "machine.py").write_text(machine.replace("2048", "64"))
    server.says = ["RTC memory has no room for a session of N bytes"]
    sizes = []
    for _ in range(3):
        await server.live()
        sizes.append((folder / "rtc").stat().st_size)
    return sizes, server.wire.handshakes(), server.wire.nonces(), {path.name for path in folder.iterdir()}


def test_a_session_that_finds_no_room_is_reported_and_the_old_one_is_forgotten(in_network, tmp_path):
    sizes, handshakes, nonces, files = run(in_network, _sleep_with_little_memory, tmp_path)
    assert all(size <= 64 for size in sizes), "the old session stays"
    assert handshakes == 1 + 2, "the second life continues the session of the first"
    assert_every_nonce_is_new(nonces)
    assert "saved" not in files
