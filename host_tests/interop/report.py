# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Collects the results of the tests in this folder and writes them into docs/interop.md. `make interop` sets $DICE_INTEROP.

A test calls `add` if its pair of implementations interoperates. The table is written only if all tests pass.
"""

import os
import re
from pathlib import Path

from dicectl.text import block_of, with_block
from host_tests.interop.peers.base import CCM_8

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interop.md"
MARK = "by `make interop`"
_HEAD = (
    "| dice as | peer | version | suite | options | datagrams | bytes |",
    "|---|---|---|---|---|---|---|",
)
_rows = {}


def wanted():
    """Return whether the page is to be written."""
    return bool(os.environ.get("DICE_INTEROP"))


def words(options):
    """Return the options as text for the table."""
    used = {name: value for name, value in sorted(options.items()) if value not in (None, False)}
    return ", ".join(name if value is True else f"{name}={_word(name, value)}" for name, value in used.items())


def _word(name, value):
    """Return a value as text: connection ids in hex, other bytes decoded."""
    if isinstance(value, (list, tuple)):
        return "+".join(_word(name, one) for one in value)
    if isinstance(value, bytes):
        return value.hex() if name.endswith("cid") else value.decode()
    return str(value)


def add(role, peer, suite, options, relay):
    """Record that dice interoperates in a role with a peer. The handshake is the last one that the relay counted."""
    if not wanted():
        return
    datagrams, size = relay.handshakes()[-1]
    name = "CCM_8" if suite == CCM_8 else "CCM"
    _rows[role, peer.title, name, options] = (peer.version(), datagrams, size)


def lines():
    """Return the lines of the table."""
    order = sorted(_rows, key=lambda key: (key[1].lower(), key[0], key[2] != "CCM_8", key[3]))
    made = []
    for key in order:
        role, title, suite, options = key
        version, datagrams, size = _rows[key]
        made.append(f"| {role} | {title} | {version} | {suite} | {options or '-'} | {datagrams} | {size} |")
    return [*_HEAD, *made]


def listed(text):
    """Return {(role of dice, peer, suite, options)} of the table in the text of a page."""
    table = block_of(text, MARK)
    return set(re.findall(r"^\| (client|server) \| (.*?) \| .*? \| (CCM|CCM_8) \| (.*?) \|", table, re.MULTILINE))


def write():
    """Write the table into the page."""
    text = PAGE.read_text()
    PAGE.write_text(with_block(text, MARK, "\n".join(lines()) + "\n"))
