# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A sensor in deep sleep between two reports, which resumes its session on waking: one record, one answer, no handshake.

On the board: the folder dice, this file as main.py, boot.py (brings up the network) and session.json:
{"host": "192.0.2.7", "port": 5684, "identity": "sensor-7", "key": "32 hex digits", "secret": "32 hex digits"}. Key and secret
differ on each device; the secret encrypts the saved session. The server, such as collector.py, finds the session by its connection
id, whatever the address of the sensor. After a power failure, the sensor opens a new session.

On an ESP32, the session and its counter are in RTC memory, which outlives deep sleep, and a report hardly ever writes to flash.
The last line that is printed is what a report costs: how long the board was awake, and the bytes of its datagrams.
"""

import asyncio
import errno
import json
import os
from binascii import unhexlify

import dice
from dice.transport.udp import Unicast

_ADC = 26  # number of a pin; on an ESP32 one of its first converter, since Wi-Fi needs the other
_SLEEP_MS = 600_000
_AGAIN_MS = 30_000  # after a report that failed
_ANSWER_S = 5
_SAVED = "saved"


def measure():
    """Return what to report: the voltage at the pin ADC of pins.json, which `dicectl deploy` writes, or at GP26; 65535 is 3.3 V."""
    from machine import ADC

    try:
        adc = ADC((dice.read_file("pins.json", json.loads) or {}).get("ADC", _ADC))
    except (ValueError, TypeError, AttributeError, OSError) as error:  # OSError: the pin has no converter
        raise ValueError('%s: pins.json must name a pin of this board, such as {"ADC": 4}' % error)
    if hasattr(ADC, "ATTN_11DB"):  # without it an ESP32 measures only up to 1 V
        adc.atten(ADC.ATTN_11DB)
    return b"%d" % adc.read_u16()


def online():
    """Return whether there is a network: without Wi-Fi, MicroPython can look a name up endlessly."""
    try:
        import network

        return network.WLAN(network.STA_IF).isconnected()
    except (ImportError, AttributeError):  # no Wi-Fi
        return True


class Counted(Unicast):
    """A socket that counts the bytes of all datagrams, without the 28 of IP and UDP."""

    sent = received = 0

    def send(self, datagram, address=None):
        """Count and send."""
        Counted.sent += len(datagram)
        return super().send(datagram, address)

    def receive(self):
        """Receive and count."""
        datagram, source = super().receive()
        Counted.received += len(datagram or b"")
        return datagram, source


def open_store():
    """Return the store of the session's counter: the board's, on an ESP32 with RTC memory before it."""
    store = dice.open_store()
    try:
        from dice.store_rtc import RtcStore

        return RtcStore(store)
    except (ImportError, AttributeError):  # it is no ESP32
        return store


def wake(settings, store):
    """Return a Connection in the session from before the sleep, or None if it cannot be restored."""
    try:
        saved = store.kept() if hasattr(store, "kept") else dice.read_file(_SAVED, bytes)
        session = saved and dice.restore(saved, store, unhexlify(settings["secret"]), dice.now())
    except dice.DiceError:  # it is damaged, or was restored before
        return None
    address = settings["host"], settings["port"]
    return dice.attach(session, address, Counted(address)) if session else None


async def connect(settings):
    """Return a Connection in a new session."""
    psk = dice.Psk(settings["identity"].encode(), unhexlify(settings["key"]))
    address = settings["host"], settings["port"]
    return await dice.connect(address, psk, timer_ms=1000, transport=Counted(address))


def sleep(connection, settings, store):
    """Save the session; without room for it in RTC memory, the next report opens a new one."""
    saved = dice.save(connection.session, store, unhexlify(settings["secret"]), os.urandom)
    if not hasattr(store, "keep"):
        dice.replace_file(_SAVED, saved)
    elif not store.keep(saved):
        store.keep(b"")
        print("RTC memory has no room for a session of", len(saved), "bytes")


async def send(connection, measured):
    """Send a measurement; return the answer, or None if none arrives."""
    await connection.send(measured)
    try:
        return await asyncio.wait_for(connection.receive(), _ANSWER_S)
    except (asyncio.TimeoutError, dice.PeerError):
        connection.close()
        return None


async def report():
    """Report in the saved session, or in a new one if that is not answered, and save it; return whether there was an answer."""
    if not online():
        raise OSError(errno.ENODEV)
    with open("session.json") as file:
        settings = json.load(file)
    measured = measure()  # before a saved session is used up, or a handshake is paid for
    store = open_store()
    connection = wake(settings, store)
    answer = connection and await send(connection, measured)
    if answer is None:
        connection = await connect(settings)
        answer = await send(connection, measured)
    print(answer)
    if answer is not None:
        sleep(connection, settings, store)
    return answer is not None


async def main():
    """Report once; return whether it was answered. Errors are printed, and the next report may get through."""
    try:
        return await report()
    except Exception as error:  # whatever it is, a board that stays awake drains its battery
        print(type(error).__name__, error)
    return False


if __name__ == "__main__":
    answered = asyncio.run(main())
    print("awake %d ms since power-up, %d bytes sent, %d received" % (dice.now(), Counted.sent, Counted.received))

    from machine import deepsleep

    deepsleep(_SLEEP_MS if answered else _AGAIN_MS)  # after it, the program starts again
