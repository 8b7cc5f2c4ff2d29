# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Many devices and a real group manager, for `dicectl bench`: a process that runs `dicectl manager run`, and one with all devices.

The manager has its registry on the disk, and both use UDP on loopback. The devices are one sender and listeners. They do with the
manager what dice.managed does, but send and receive nothing in the group, and keep nothing. Prints JSON lines: {"devices", "phase",
"pace_ms", "s": seconds until all have it, "cpu_s": CPU time of the manager meanwhile, "ram_mb": its memory afterwards, "dropped":
datagrams that its socket had no room for}. Phases: join (125 devices start in a second; until all have the keys), re-key and
expulsion (until all who are left have entered the epoch), and restart (it is killed, and started again: until all that are left are
connected). CPU times say more than seconds where other programs run.

python -m dicectl.measure.many_devices 200 1000 5000
"""

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dice
from dice.aio.coap import Coap
from dice.coap.codes import CHANGED, CREATED, POST, PUT
from dice.dtls.kx_psk import Psk
from dice.errors import DiceError
from dice.group.gsa import K08, decode
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dicectl.errors import CommandError
from dicectl.manager import control
from dicectl.manager.registry.sqlite import SqliteRegistry

GROUP = "lamps"
_PER_SECOND = 125  # how many devices start in a second
_PACES_MS = 50, 5  # of up to 5,000 devices, and of more
_PAUSE_S = 2
_LOOK_S = 0.2
_ENTERED = 2


class Device:
    """A member, without its group."""

    def __init__(self, identity, key, port, told):
        self.identity = identity
        self.epoch = 0  # that it has
        self.entered = 0  # that it has entered
        self._key = key
        self._port = port
        self._told = told
        self._session = None

    async def run(self, after_s):
        """Connect, and join; again if that fails. Then answer the manager endlessly."""
        await asyncio.sleep(after_s)
        while True:
            with contextlib.suppress(DiceError):
                connection = await dice.connect(("127.0.0.1", self._port), Psk(self.identity, self._key), cid=b"", timer_ms=1000)
                self._session = Coap(connection, self._answer)
                await self._join()
                await self._session.closed()
                if connection.recalled:
                    await asyncio.sleep(secrets.randbelow(256) / 1024)  # as firmware/app does
                    continue
            await asyncio.sleep(1)

    async def _join(self):
        while True:
            response = await self._session.request(POST, f"ace-group/{GROUP}")
            if response is not None and response.code == CREATED:
                self._take(response.payload)
                await self._session.request(POST, f"ace-group/{GROUP}/node", self._report() + bytes(4))
                return
            if response is None or self.epoch:  # the session has ended, or this device was expelled
                return
            await asyncio.sleep(1)

    def _take(self, body):
        epoch = decode(body[2:]).epoch
        if epoch != self.epoch:
            self.epoch = epoch
            self._told("holds", epoch)
        if body[1]:
            self._enter()

    def _enter(self):
        if self.entered != self.epoch:
            self.entered = self.epoch
            self._told("entered", self.epoch)

    def _report(self):
        """Return a report of docs/protocol.md, section 15."""
        return self.epoch.to_bytes(2, "big") + bytes(8) + bytes((_ENTERED * (self.entered == self.epoch),)) + bytes(4)

    def _answer(self, request, _):
        if request.code == PUT:
            self._take(request.payload)
        elif request.code == POST:
            self._enter()
        return CHANGED, self._report()


class Population:
    """All devices. `lines` are printed when all of them have, or have entered, an epoch."""

    def __init__(self, port, keys):
        self.devices = [Device(identity.encode(), bytes.fromhex(key), port, self.told) for identity, key in keys.items()]
        self.gone = 0
        self._counts = {}

    def told(self, what, epoch):
        """Count one more device."""
        self._counts[what, epoch] = count = self._counts.get((what, epoch), 0) + 1
        if count == len(self.devices) - self.gone:
            print(json.dumps([what, epoch]), flush=True)

    async def run(self):
        """Run until the standard input ends; each line on it says that one more device is expelled next."""
        running = asyncio.gather(*[device.run(number / _PER_SECOND) for number, device in enumerate(self.devices)])
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            self.gone += 1
        running.cancel()


class ManagerProcess:
    """A manager with a group of so many devices in a folder."""

    def __init__(self, folder, count):
        self.path = Path(folder) / "house.db"
        self.keys = self._provision(count)
        self._log = Path(folder) / "log"
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as free:
            free.bind(("::", 0))
            self.port = free.getsockname()[1]
        self.pace_ms = _PACES_MS[count > 5000]
        self.process = None
        self.start()

    def start(self):
        """Start the process, and wait until it serves."""
        arguments = [sys.executable, "-m", "dicectl", "manager", "run", str(self.path), "--port", str(self.port)]
        arguments += ["--host", "127.0.0.1", "--pace", str(self.pace_ms)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while True:
            with contextlib.suppress(CommandError):
                self.call("groups")
                break
            if self.process.poll() is not None:
                raise CommandError(f"the manager has ended: {self._log.read_text()}")
            time.sleep(0.1)

    def _provision(self, count):
        """Store a group and its members; return {identity: key in hexadecimal}."""
        registry = SqliteRegistry(self.path)
        registry.create(GroupState(GROUP, b"\1\2\3\4", b"\xef\1\2\3", 45_685, K08), 0)
        with registry.together():
            keys = dict(registry.enrol(f"device-{number}") for number in range(count))
            (stored,) = registry.states()
            manager = Manager(stored.state, registry.commit, secrets.token_bytes, 0)
            first, *others = keys
            manager.add([first], SENDER, 0)
            manager.add(others, LISTENER, 0)
        registry.close()
        return {identity.decode(): key.hex() for identity, key in keys.items()}

    def call(self, do, **request):
        return control.call(self.path, do, **request)

    def cpu_s(self):
        """Return the CPU time of the process until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ram_mb(self):
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def dropped(self):
        """Return how many datagrams its socket had no room for."""
        for path in ("/proc/net/udp", "/proc/net/udp6"):
            for line in Path(path).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(f":{self.port:04X}"):
                    return int(fields[-1])
        return None

    def restart(self):
        """Kill the process, and start it again."""
        self.process.kill()
        self.process.wait()
        self.start()


def _wait_for(devices, what, epoch):
    """Wait until the process with the devices says that all of them have, or have entered, an epoch."""
    while json.loads(devices.stdout.readline()) != [what, epoch]:
        pass


def measure(count):
    """Run all phases with so many devices; yield a dict for each."""
    with tempfile.TemporaryDirectory() as folder:
        manager = ManagerProcess(folder, count)
        arguments = [sys.executable, "-m", "dicectl.measure.many_devices", "devices"]
        devices = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        devices.stdin.write(json.dumps([manager.port, manager.keys]) + "\n")
        try:
            epoch = manager.call("show", group=GROUP)["epoch"]
            for phase in ("join", "re-key", "expulsion", "restart"):
                start_s, start_cpu_s = time.monotonic(), manager.cpu_s()
                if phase == "re-key":
                    epoch = manager.call("rekey", group=GROUP)["epoch"]
                elif phase == "expulsion":
                    devices.stdin.write("one more is expelled\n")
                    devices.stdin.flush()
                    epoch = manager.call("remove", group=GROUP, devices=["device-1"])["epoch"]
                if phase == "restart":
                    start_cpu_s = 0
                    manager.restart()
                    while manager.call("status")["connected"] < count - 1:
                        time.sleep(_LOOK_S)
                else:
                    devices.stdin.flush()
                    _wait_for(devices, "holds" if phase == "join" else "entered", epoch)
                yield {
                    "devices": count,
                    "phase": phase,
                    "pace_ms": {"expulsion": 1, "restart": 4}.get(phase, manager.pace_ms),
                    "s": round(time.monotonic() - start_s, 1),
                    "cpu_s": round(manager.cpu_s() - start_cpu_s, 2),
                    "ram_mb": round(manager.ram_mb()),
                    "dropped": manager.dropped(),
                }
                if phase == "join":
                    _wait_for(devices, "entered", epoch)
                    time.sleep(_PAUSE_S)  # until the manager knows, too
        finally:
            for process in (devices, manager.process):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["devices"]:
        asyncio.run(Population(*json.loads(sys.stdin.readline())).run())
    else:
        for number in sys.argv[1:]:
            for line in measure(int(number)):
                print(json.dumps(line), flush=True)
