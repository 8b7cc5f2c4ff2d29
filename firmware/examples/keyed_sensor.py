# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A sensor that proves who it is with a key pair that it makes itself: a raw public key, or a certificate. Its key never leaves it.

On the board: the folder dice with profile public-keys, this file as main.py, boot.py (brings up the network) and session.json:
{"host": "192.0.2.7", "port": 5684, "server": "SHA-256 of the server's public key, 64 hex digits, or that key"}. At its first start,
the sensor writes own.key, and own.pub, its public key, which it prints as well: the server has to know it. Such a server, on a
computer, and the SHA-256 of its public key:

    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out server.pem
    openssl pkey -in server.pem -pubout -outform DER | sha256sum
    dicectl dtls-server 5684 --key server.pem --peer-key PUBLIC_KEY --echo

With a certificate: {"host": ..., "port": 5684, "name": "name in the certificate of the server", "since": 1800000000}, ca.der, and
own.der from `dicectl ca sign AUTHORITY own.pub --usage client --out own.der --name NAME`. `since` is the time now, in seconds since
1970: as this program has no clock, it refuses only what had expired then.
"""

import asyncio
import errno
import json
import os
from binascii import hexlify, unhexlify

import dice
from dice.crypto import curve

_PERIOD_S = 600
_AGAIN_S = 20  # at most; at random, so that a house full of sensors does not call at once after a blackout
_ANSWER_S = 30


def online():
    """Return whether there is a network: without Wi-Fi, MicroPython can look a name up endlessly."""
    try:
        import network

        return network.WLAN(network.STA_IF).isconnected()
    except (ImportError, AttributeError):  # no Wi-Fi
        return True


def measure():
    """Return what to report."""
    return b"18.5"


def own_key():
    """Return the private key, which is made at the first start."""
    private = dice.read_file("own.key", bytes)
    if not private or len(private) != 32:
        private = curve.generate(os.urandom)
        dice.replace_file("own.key", private)
    if not dice.read_file("own.pub", bytes):
        dice.replace_file("own.pub", hexlify(curve.public(private)))
    return private


def content(path):
    """Return the bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def credentials(private, settings):
    """Return what proves who we are, and what the server has to prove."""
    if "server" in settings:
        return dice.RawPublicKey(private, [unhexlify(settings["server"])])
    trust = dice.Trust([content("ca.der")], since=settings["since"])
    return dice.Certificate(private, [content("own.der")], trust, settings["name"], clock=None)


async def report(settings, keys):
    """Connect, report a measurement, and return the answer of the server."""
    connection = await dice.connect((settings["host"], settings["port"]), keys, timer_ms=1000)
    try:
        await connection.send(measure())
        return await asyncio.wait_for(connection.receive(), _ANSWER_S)
    finally:
        connection.close()


async def main():
    """Report every ten minutes; a report that fails is repeated soon."""
    private = own_key()
    print("public key", content("own.pub").decode())
    with open("session.json") as file:
        settings = json.load(file)
    keys = credentials(private, settings)
    while True:
        pause_s = _PERIOD_S
        try:
            if not online():
                raise OSError(errno.ENODEV)
            print(await report(settings, keys))
        except (dice.DiceError, OSError, MemoryError, asyncio.TimeoutError) as error:  # such as no network, or no server
            print(error)
            pause_s = _AGAIN_S * (1 + os.urandom(1)[0]) / 256
        await asyncio.sleep(pause_s)


if __name__ == "__main__":
    asyncio.run(main())
