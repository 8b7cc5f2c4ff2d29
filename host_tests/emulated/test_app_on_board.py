# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app on the emulated RP2040: the memory that it leaves, and its work with a group manager, by commands of dicectl."""

import contextlib
import json
import re
import subprocess
import sys

from dicectl import resources
from dicectl.board.raw_repl import Device
from dicectl.demo.manager_process import ManagerProcess
from dicectl.emulator.board import EmulatedBoard, run
from dicectl.firmware import recipe
from dicectl.manager import group_file
from dicectl.net.slip_gateway import Gateway, at_work
from host_tests.emulated import files
from host_tests.patience import until

HEAP_LEFT_BYTES = 100 * 1024
SCRIPT = """
import asyncio, gc
import link, safe, sensors
from status import Led
from node import Node
from dice.coap.message import GET, Message
from dice.aio.coap import Coap
from dice.aio.session import Connection
from dice.aio.managed import ManagedGroup
from dice.dtls.client import Client
from dice.dtls.record_layer import RecordLayer
from dice.dtls.kx_psk import Psk
from dice.dtls.session import Session
import dice.aio.group, dice.dtls.listener, dice.dtls.server, io, os

class Nowhere(io.IOBase):
    source = None
    def __init__(self):
        self.socket = self
    def ioctl(self, request, argument):
        return 0
    def send(self, datagram):
        pass
    def receive(self):
        return None
    def close(self):
        pass
    def flush(self):
        pass
    def answer(self, datagram, source):
        pass
    def Multicast(self, address, port):
        return self

async def main():
    led = Led("LED")
    settings = {"identity": "lamp", "key": "00" * 16, "groups": ["lamps"], "manager": {"host": "192.0.2.1", "port": 5684}}
    node = Node(settings, {}, sensors.make("chip", {}), light=led.light, status=led.show, network=Nowhere())
    assert node._open and node.groups["lamps"].routes
    node._take_part(node.groups["lamps"], await node.groups["lamps"].resume())
    session = Session(Client(Psk(b"lamp", bytes(16)), os.urandom), RecordLayer(), 0)
    session.transmit()
    node.manager = Coap(Connection(session, Nowhere()), node._routes)
    await asyncio.sleep(0.1)
    assert node.groups["lamps"].group.member.held(1)
    request = Message(0, GET, 7, b"t", [(11, b"light")], b"")
    print(node._routes(request, None)[1])
    gc.collect()
    print(gc.mem_free(), gc.mem_alloc())

asyncio.run(main())
"""

BOOT = b"""
import gc
from machine import Timer

low = 1 << 30

def look(_timer):
    global low
    gc.collect()
    free = gc.mem_free()
    if free < low - 256:
        low = free
        with open("heap_left", "w") as file:
            file.write(str(free))

timer = Timer(period=1000, callback=look)
"""


def test_the_whole_node_leaves_100_kb_of_heap(firmware, tmp_path):
    """With its group joined, a handshake in progress and a CoAP session. The transport is a double that sends nothing."""
    group = group_file.new("lamps")
    for name in ("switch", "door"):
        group_file.add_sender(group, name)
    group_file.create(tmp_path / "lamps.group", group)
    group_file.export(tmp_path / "lamps.group", tmp_path / "lamps.gsa")
    board = {
        **files.dice(),
        **files.compiled(resources.APP, *(path.name for path in resources.APP.glob("*.py") if path.name != "main.py")),
        "lamps.gsa": (tmp_path / "lamps.gsa").read_bytes(),
    }
    *_, light, memory = run(firmware, SCRIPT, board)
    assert light == "b'off'"
    free, used = map(int, memory.split())
    print(f"{free:,} bytes free, {used:,} in use")
    assert free >= HEAP_LEFT_BYTES


def _dicectl(folder, *arguments):
    """Run a command; return its output, in which no key may be."""
    argv = [sys.executable, "-m", "dicectl", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done
    return done.stdout + done.stderr


@contextlib.contextmanager
def _wire(board, group):
    """Run a gateway on a board's UART."""
    board.uarts[0].setblocking(False)
    with board.uarts[0].makefile("rwb", buffering=0) as stream, at_work(Gateway(stream, [group])):
        yield


def _settings(board):
    return json.loads(board.files()["node.json"])


def pass_time(board, seconds):
    """Wait, by the board's clock."""
    end_us = board.device_us() + seconds * 1_000_000
    until(lambda: board.device_us() > end_us, "the board's clock")


def _lit(board):
    """Interrupt the program and return whether the lamp is lit; no watchdog may end the interruption. Then the program restarts."""
    with Device(board.port) as device:
        device.run("mark = 1")
        pass_time(board, 10)
        # SIO_GPIO_OUT: the emulator does not feed a pin's output back into its input.
        return device.run("import machine\nprint(mark, machine.mem32[0xD0000010] >> 25 & 1)").split()


def _use(folder, image):
    """Deploy, provision, obey, replace and wipe, with firmware that has the application; return what the tests examine."""
    with ManagerProcess(folder) as service, EmulatedBoard(image, pty=True) as board:
        service("new", group="lamps")
        shown = service("show", group="lamps")
        manager = ("-m", service.registry)
        (folder / "app.json").write_text('{"sensor": "simulated", "led": "LED", "serial": {"address": "10.77.0.5"}}')
        (folder / "clients.json").write_text(json.dumps({"tablet": "0f" * 16}))
        (folder / "boot.py").write_bytes(BOOT)
        own = [folder / name for name in ("app.json", "clients.json", "boot.py")]
        output = [_dicectl(folder, "deploy", "--port", board.port, resources.APP / "main.py", *own)]
        with _wire(board, (shown["address"], shown["port"])):
            output.append(_dicectl(folder, "provision", "new", "lamp-1", "--group", "lamps", "--port", board.port, *manager))
            first = _settings(board)
            until(lambda: service("devices")[0]["connected"], "lamp-1 to join")
            output.append(
                _dicectl(folder, "provision", "new", "desk", "--group", "lamps:sender", "--to", folder / "desk", *manager)
            )
            until(lambda: service("show", group="lamps")["active"], "the desk's epoch")
            output += [_dicectl(folder, "group", "send", "lamps", word, "--as", folder / "desk") for word in ("off", "on")]
            counter = f"{shown['gid']}r0001"
            until(lambda: any(name == counter for name in board.files()), "lamp-1 to receive it")
            pass_time(board, 1)
            lit = _lit(board)
            output.append(_dicectl(folder, "provision", "replace", "lamp-1", "--port", board.port, *manager))
            second = _settings(board)
            until(lambda: any(d["connected"] and d["name"] == "lamp-1" for d in service("devices")), "lamp-1 to join again")
            output.append(_dicectl(folder, "provision", "wipe", "lamp-1", "--port", board.port, *manager))
            left = board.files()
    return first, second, lit, left, "".join(output)


def test_a_board_is_deployed_provisioned_replaced_and_wiped(in_network, firmware, tmp_path):
    """main.py as a file, the rest of the application frozen, on a serial bus with a gateway. No command prints a key.

    An interrupted board stays at its prompt. The board also serves DTLS. In its group and in a session with the manager, it always
    has at least 100 KB of heap left.
    """
    image = recipe.firmware("RPI_PICO", app=True) / "firmware.uf2"
    first, second, lit, left, output = in_network(_use, tmp_path, image)
    assert first["identity"] != second["identity"] and first["key"] != second["key"]
    assert first["identity"] in output and second["identity"] in output
    assert not [settings for settings in (first, second) if settings["key"] in output]
    assert lit == ["1", "1"]
    assert (
        "main.py" in left
        and "node.mpy" not in left
        and not [name for name in left if re.search(r"node\.json|\.gsa|^[0-9a-f]{8}[a-z][0-9a-f]{4}", name)]
    )
    free = int(left["heap_left"])
    print(f"{free:,} bytes free at the least")
    assert free >= HEAP_LEFT_BYTES


HANGING = b"""
import machine, safe

started = safe.may_start()
with open("log", "a") as file:
    file.write("%d%d " % (started, machine.reset_cause()))
if started:
    machine.WDT(timeout=100)
while True:
    pass
"""
_POWER_ON, _WATCHDOG = "1", "3"


def test_only_the_watchdog_leads_to_safe_mode(tmp_path):
    """The board's own machine.reset_cause(): a program that hangs is reset by the real watchdog; power cuts count nothing."""
    image = recipe.firmware("RPI_PICO", app=True) / "firmware.uf2"
    with EmulatedBoard(image, {"main.py": HANGING}, pty=True) as board:

        def log():
            return board.files().get("log", b"").decode().split()

        until(lambda: len(log()) >= 2, "a reset by the watchdog")
        board.power_off()
        board.power_on()
        until(lambda: log()[-1:] == ["0" + _WATCHDOG], "safe mode")
        found = log()
    cuts = [number for number, start in enumerate(found) if start[1] == _POWER_ON]
    assert len(cuts) == 2 and cuts[0] == 0
    assert found.count("1" + _WATCHDOG) == 4 and all(start[0] == "1" for start in found[:-1]), found
