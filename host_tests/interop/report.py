# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Collects the results of the tests in this folder and writes them into docs/interop.md. `make interop` sets $DICE_INTEROP.

A test calls `add` if its pair of implementations interoperates. The table is written only if all tests pass.
"""

import os
import re
from pathlib import Path

from dicectl.text import block_of, with_block
from host_tests.interop.peers.base import CCM, CCM_8, ECDHE_PSK_CCM, ECDHE_PSK_CCM_8, ECDSA_CCM, ECDSA_CCM_8

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interop.md"
MARK = "by `make interop`"
_HEAD = (
    "| dice as | peer | version | keys | suite | options | datagrams | bytes |",
    "|---|---|---|---|---|---|---|---|",
)
PSK, ECDHE_PSK, RAW_KEYS, CERTIFICATES = "PSK", "PSK, ECDHE", "raw public keys", "certificates"
_NAMES = {
    CCM_8: (PSK, "CCM_8"),
    CCM: (PSK, "CCM"),
    ECDHE_PSK_CCM_8: (ECDHE_PSK, "CCM_8"),
    ECDHE_PSK_CCM: (ECDHE_PSK, "CCM"),
    ECDSA_CCM_8: (CERTIFICATES, "CCM_8"),
    ECDSA_CCM: (CERTIFICATES, "CCM"),
}
_rows = {}


def wanted():
    """Return whether the page is to be written."""
    return bool(os.environ.get("DICE_INTEROP"))


def words(options, peers=None, note=""):
    """Return our options and the peer's as text for the table, and a note; without keys."""
    found = {**options, **{f"peer's {name}": value for name, value in (peers or {}).items() if name != "keys"}}
    used = {name: value for name, value in sorted(found.items()) if value not in (None, False)}
    texts = [name if value is True else f"{name}={_word(name, value)}" for name, value in used.items()]
    return ", ".join([note, *texts] if note else texts)


def _word(name, value):
    """Return a value as text: connection ids in hex, other bytes decoded."""
    if isinstance(value, (list, tuple)):
        return "+".join(_word(name, one) for one in value)
    if isinstance(value, bytes):
        return value.hex() if name.endswith("cid") else value.decode()
    return str(value)


def add(role, peer, suite, options, relay, keys=None):
    """Record that dice interoperates in a role with a peer. The handshake is the last one that the relay counted.

    `keys`: the peer's, with the suites of ECDSA.
    """
    if not wanted():
        return
    datagrams, size = relay.handshakes()[-1]
    kind, name = _NAMES[suite]
    _rows[role, peer.title, RAW_KEYS if keys and keys.is_raw else kind, name, options] = (peer.version(), datagrams, size)


def lines():
    """Return the lines of the table."""
    kinds = (PSK, ECDHE_PSK, RAW_KEYS, CERTIFICATES)
    order = sorted(_rows, key=lambda key: (key[1].lower(), kinds.index(key[2]), key[0], key[3] != "CCM_8", key[4]))
    made = []
    for key in order:
        role, title, kind, suite, options = key
        version, datagrams, size = _rows[key]
        made.append(f"| {role} | {title} | {version} | {kind} | {suite} | {options or '-'} | {datagrams} | {size} |")
    return [*_HEAD, *made]


def listed(text):
    """Return {(role of dice, peer, keys, suite, options)} of the table in the text of a page."""
    table = block_of(text, MARK)
    return set(re.findall(r"^\| (client|server) \| (.*?) \| .*? \| (.*?) \| (CCM|CCM_8) \| (.*?) \|", table, re.MULTILINE))


def write():
    """Write the table into the page."""
    text = PAGE.read_text()
    PAGE.write_text(with_block(text, MARK, "\n".join(lines()) + "\n"))
