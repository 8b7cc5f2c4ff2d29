# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How long a command of 2 bytes is on the air: sizes from the library's own code, times from the formulas of the standards.

No radio is involved. docs/comparison.md has the table and the sources.
"""

from math import ceil

from dice import record
from dice.coap.message import Message, path_options
from dice.suites import PSK_AES_128_CCM_8, SUITES
from dice.transport.recode import recode

TITLES = ("what is sent", "bytes", "serial", "ESP-NOW", "802.15.4", *[f"LoRa SF{factor}" for factor in range(7, 13)], "in an hour")
TEXT = "A command of 2 bytes: ms on the link, and how many may be sent in an hour at SF12 with a duty cycle of 1 %."
_NON, _PUT = 1, 3
_TAG_BYTES = 8
_SIGNATURE_BYTES = 64  # of EdDSA with Ed25519, and of ECDSA with P-256
_OSCORE_OPTION_BYTES = 1 + 7  # its header; flags, Partial IV 1, length 1 and 3 bytes of the group's id, sender's id 1
_DUTY_CYCLE_S = 36  # of an hour: 1 %


def serial_ms(size):
    """Return ms on a line of 115,200 bit/s: 8N1, and SLIP's two END bytes; bytes that need an escape are not counted."""
    return (size + 2) * 10 / 115.2


def espnow_ms(size):
    """Return ms of an ESP-NOW frame at its default rate of 1 Mbit/s (802.11 DSSS), without waiting for the channel.

    The long preamble and PLCP header take 192 us. MAC header 24, category 1, organization 3, random 4, element 7, FCS 4.
    """
    return (192 + 8 * (24 + 1 + 3 + 4 + 7 + size + 4)) / 1000


def ieee802154_ms(size):
    """Return ms of a frame of IEEE 802.15.4 at 250 kbit/s (2.4 GHz, O-QPSK), without waiting for the channel.

    Preamble, SFD and length 6; frame control 2, number 1, PAN 2, two short addresses 4, FCS 2.
    """
    return (6 + 9 + size + 2) * 8 / 250


def lora_ms(size, factor):
    """Return ms of a LoRa frame: 125 kHz, coding rate 4/5, 8 symbols of preamble, explicit header, CRC.

    The formula is that of the data sheet of the SX1276, section 4.1.1.7. Symbols longer than 16 ms (SF11, SF12) have the low data
    rate optimization.
    """
    symbol_ms = 2**factor / 125
    slow = symbol_ms > 16
    symbols = 8 + max(ceil((8 * size - 4 * factor + 28 + 16) / (4 * (factor - 2 * slow))) * 5, 0)
    return (8 + 4.25 + symbols) * symbol_ms


def _record(number, data):
    """Return a group record of sender 1."""
    return record.seal(SUITES[PSK_AES_128_CCM_8].cipher, bytes(16), bytes(4), 23, 1, (1 << 40) + number, data)


def sizes():
    """Return {what is sent: bytes}. The command is b"on"; in CoAP it is a PUT to a path of one character, without a Token."""
    coap = bytes(Message(_NON, _PUT, 1, b"", path_options("l"), b"on").encode())
    whole, inside = (_record(number, data) for number, data in enumerate((b"on", coap)))
    encrypted = len(coap) - 3  # all but the header and its message id, of which the code is encrypted too
    return {
        "`dice`, whole": len(whole),
        "`dice`, recoded": len(recode(whole)),
        "CoAP, plain": len(coap),
        "CoAP in `dice`, whole": len(inside),
        "CoAP in `dice`, recoded": len(recode(inside)),
        "CoAP in Group OSCORE": 4 + _OSCORE_OPTION_BYTES + 1 + encrypted + _TAG_BYTES + _SIGNATURE_BYTES,
    }


def figures():
    """Return {what is sent: {"bytes": size, link: ms, "per_hour": messages}}."""
    found = {}
    for name, size in sizes().items():
        lora = {f"lora_sf{factor}": lora_ms(size, factor) for factor in range(7, 13)}
        times = {"serial": serial_ms(size), "espnow": espnow_ms(size), "802.15.4": ieee802154_ms(size), **lora}
        found[name] = {"bytes": size, **{link: round(ms, 3) for link, ms in times.items()}}
        found[name]["per_hour"] = int(_DUTY_CYCLE_S * 1000 / lora["lora_sf12"])
    return found


def rows():
    """Return the rows of the table, below TITLES."""
    return [(name, *[_text(link, value) for link, value in row.items()]) for name, row in figures().items()]


def _text(name, value):
    return f"{value:,.0f}" if name in ("bytes", "per_hour") or value >= 100 else f"{value:.2f}"


def table():
    """Return the table of docs/comparison.md."""
    lines = [TITLES, ["---"] * len(TITLES), *rows()]  # times in ms
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
