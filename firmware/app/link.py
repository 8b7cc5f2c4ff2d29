# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The network of a node: a serial bus if app.json configures one, else Wi-Fi if the board has it, else the system's network.

app.json has {"serial": {"uart": 0, "baud": 115200, "address": "10.77.0.5"}}, and "tx" and "rx" for other pins than those of
pins.json; wifi.json has {"ssid": "house", "password": "..."}.

Nothing here waits for an access point: keep() connects in the background, for as long as it takes, and again after each loss.
"""

import asyncio
import json
import os
import sys

_RECEIVED_BYTES = 2500  # a whole packet, which may arrive while the board is busy
_LOOK_S = 1
_TRY_S = 15  # for one connection with its address, and up to 10 s more, so that a house full of nodes does not try at once
_UNREACHED_S = 1800  # after so long without a manager the interface is believed to be stuck although it says that it is connected


def up(options):
    """Begin to bring up the network; return the network for dice: a SlipHost on a bus, else None for the system's UDP.

    On a computer it is a UdpNetwork if app.json has "interface" or "hops".
    """
    if "serial" in options:
        return _serial(options["serial"])
    if "interface" in options or "hops" in options:
        from dice.transport.udp_network import UdpNetwork

        return UdpNetwork(options.get("interface"), options.get("hops", 1))
    station = _station(options)
    if station:
        _connect(station, False)
    try:
        import socket  # noqa: F401
    except ImportError:
        print('trouble: this firmware has no network: app.json must name a line, such as {"serial": {"address": "10.77.0.5"}}')
    return None


def ready(options):
    """Return whether the network can be used, as far as the board knows."""
    station = _station(options)
    return not station or station.isconnected()


async def look_up(options, host):
    """Return an address of `host`, or a name that the system has just looked up; raises OSError."""
    if "serial" in options:
        return host  # an address; boards without Wi-Fi have no sockets either
    import names

    return await names.look_up(host, name_server(options))


def name_server(options):
    """Return the address of the network's name server, "" if it has none, or None if the system looks names up."""
    try:
        return _station(options).ifconfig()[3].replace("0.0.0.0", "")
    except AttributeError:  # no Wi-Fi
        return None


async def keep(options, reached=lambda: True, changed=lambda: None):
    """Keep Wi-Fi connected, endlessly. Each second attempt activates the interface anew, since it may be stuck.

    `reached()` returns whether somebody answers, who did before; `changed()` is called after each new connection.
    """
    station = _station(options)
    anew = False
    unreached_s = 0
    while station:
        try:
            connected = station.isconnected()
            unreached_s = 0 if not connected or reached() else unreached_s + _LOOK_S
            if not connected or unreached_s >= _UNREACHED_S:
                if connected:
                    _connect(station, True)
                while not await _connected(station, _TRY_S + os.urandom(1)[0] // 25):
                    anew = not anew
                    _connect(station, anew)
                unreached_s = 0
                changed()
        except Exception as error:  # of a driver
            print("trouble: Wi-Fi:", type(error).__name__, error)
        await asyncio.sleep(_LOOK_S)


async def _connected(station, seconds):
    """Wait for a connection for at most so many seconds; return whether there is one now."""
    while seconds > 0 and not station.isconnected():
        await asyncio.sleep(_LOOK_S)
        seconds -= _LOOK_S
    return station.isconnected()


def _serial(options):
    import pins
    from machine import UART, Pin

    from dice import SlipHost

    number = options.get("uart", pins.find("UART", 0))
    if number == 0 and sys.platform == "esp32":
        raise ValueError('UART 0 is the console of this board: app.json must name another, such as {"uart": 1, "tx": 26, "rx": 27}')
    wires = {}
    for name in ("tx", "rx"):
        pin = options.get(name, pins.find(name.upper()))
        if pin != name.upper():
            wires[name] = Pin(pin)
    uart = UART(number, options.get("baud", 115200), rxbuf=_RECEIVED_BYTES, **wires)
    return SlipHost(uart, options["address"], options.get("recode", True))


def _station(options):
    """Return the Wi-Fi interface, or None."""
    if "serial" in options:
        return None
    try:
        import network

        return network.WLAN(network.STA_IF)
    except (ImportError, AttributeError):
        return None


def _connect(station, anew):
    """Begin to connect to the access point of wifi.json. A failure is printed; the next attempt may work."""
    try:
        with open("wifi.json") as file:
            wifi = json.load(file)
        if anew:
            station.active(False)
        station.active(True)
        try:
            station.config(pm=0)  # power saving makes an access point hold multicast back
        except (OSError, ValueError) as error:  # a driver without this option connects without it
            print("trouble: Wi-Fi: power saving stays on:", error)
        station.connect(wifi["ssid"], wifi["password"])
    except Exception as error:  # wifi.json is missing or damaged, or the driver is busy
        print("trouble: Wi-Fi:", type(error).__name__, error)
