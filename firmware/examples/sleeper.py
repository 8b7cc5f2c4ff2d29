# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A sensor that sleeps deeply between two reports, and wakes in the session that it had: one record, one answer, no handshake.

On the board: the folder dice, this file as main.py, boot.py (brings up the network) and session.json:
{"host": "192.0.2.7", "port": 5684, "identity": "sensor-7", "key": "32 hex digits", "secret": "32 hex digits"}, the last two
different for each device; what is saved is encrypted under the secret. The server, such as collector.py, knows the session by its
connection id, wherever the sensor calls from. After a power failure the sensor connects anew.
"""

import asyncio
import json
import os
from binascii import unhexlify

import dice
from dice.aio.session import attach
from dice.aio.wait import now
from dice.dtls.kx_psk import Psk
from dice.dtls.sleep import restore, save
from dice.errors import DiceError, PeerError, StoreError
from dice.store import FileStore, read_file, replace_file

_SLEEP_MS = 600_000
_ANSWER_S = 5
_SAVED = "saved"


def measure():
    """Return what is to be told: the voltage at GP26."""
    from machine import ADC

    return b"%d" % ADC(26).read_u16()


def wake(settings, store):
    """Return a Connection in the session from before the sleep, or None where there is none to go on with."""
    try:
        saved = read_file(_SAVED, bytes)
        session = saved and restore(saved, store, unhexlify(settings["secret"]), now())
    except StoreError:
        return None
    return attach(session, (settings["host"], settings["port"])) if session else None


async def connect(settings):
    """Return a Connection in a new session."""
    psk = Psk(settings["identity"].encode(), unhexlify(settings["key"]))
    return await dice.connect((settings["host"], settings["port"]), psk, timer_ms=1000)


async def tell(connection):
    """Tell what was measured; return the answer, or None where there is none."""
    await connection.send(measure())
    try:
        return await asyncio.wait_for(connection.receive(), _ANSWER_S)
    except (asyncio.TimeoutError, PeerError):
        connection.close()
        return None


async def report():
    """Tell, in a new session where the old one is not answered, and save it."""
    with open("session.json") as file:
        settings = json.load(file)
    store = FileStore()
    connection = wake(settings, store)
    answer = connection and await tell(connection)
    if answer is None:
        connection = await connect(settings)
        answer = await tell(connection)
    print(answer)
    if answer is not None:
        replace_file(_SAVED, save(connection.session, store, unhexlify(settings["secret"]), os.urandom))


async def main():
    """Report once, whatever comes of it."""
    try:
        await report()
    except (DiceError, OSError) as error:
        print(error)


if __name__ == "__main__":
    asyncio.run(main())

    from machine import deepsleep

    deepsleep(_SLEEP_MS)  # and then it starts as from power on
