# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What memory firmware/app leaves on the emulated RP2040: with its group joined, a handshake under way and its CoAP peer there.

A RPI_PICO has no network: that the group's datagrams and the session's go nowhere is a double, and the only one.
"""

from pathlib import Path

from dicectl import keyring
from dicectl.emulator import run
from host_tests.emulated import files

APP = Path(__file__).resolve().parents[2] / "firmware" / "app"
HEAP_LEFT_BYTES = 100 * 1024
SCRIPT = """
import asyncio, gc
import link, safe, sensors
from status import Led
from node import Node
from dice.coap.message import GET, Message
from dice.coaps import Coap
from dice.dtls import Connection
from dice.managed import Managed
from dice.client import Client
from dice.kx_psk import Psk
from dice.session import Session
import dice.aio, dice.listener, dice.server, io, os

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
    def Multicast(self, address, port):
        return self

async def main():
    led = Led("LED")
    settings = {"identity": "lamp", "key": "00" * 16, "groups": ["lamps"], "manager": {"host": "192.0.2.1", "port": 5684}}
    node = Node(settings, {}, sensors.make("chip", {}), light=led.light, status=led.show)
    assert node._open and node.groups["lamps"].routes
    node.groups["lamps"]._network = Nowhere()
    node._take_part(node.groups["lamps"], await node.groups["lamps"].resume())
    session = Session(Client(Psk(b"lamp", bytes(16)), os.urandom), 0)
    session.transmit()
    node.peer = Coap(Connection(session, Nowhere()), node._routes)
    await asyncio.sleep(0.1)
    assert node.groups["lamps"].group.member.held(1)
    request = Message(0, GET, 7, b"t", [(11, b"light")], b"")
    print(node._routes(request, None)[1])
    gc.collect()
    print(gc.mem_free(), gc.mem_alloc())

asyncio.run(main())
"""


def test_the_whole_node_leaves_100_kb(firmware, tmp_path):
    group = keyring.new("lamps")
    for name in ("switch", "door"):
        keyring.add_sender(group, name)
    keyring.create(tmp_path / "lamps.group", group)
    keyring.export(tmp_path / "lamps.group", tmp_path / "lamps.gsa")
    board = {
        **files.dice(),
        **files.compiled(APP, *(path.name for path in APP.glob("*.py") if path.name != "main.py")),
        "lamps.gsa": (tmp_path / "lamps.gsa").read_bytes(),
    }
    *_, light, memory = run(firmware, SCRIPT, board, timeout_s=200)
    assert light == "b'off'"
    free, used = map(int, memory.split())
    print(f"{free:,} bytes free, {used:,} in use")
    assert free >= HEAP_LEFT_BYTES
