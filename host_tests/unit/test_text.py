# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Control characters in what peers and members send do not reach the terminal on which a command prints it."""

import asyncio
import io
import json
import types

import pytest

from dicectl.member import monitor, observed
from dicectl.net import watched
from dicectl.text import printable

CLIPBOARD = b"\x1b]52;c;aGk=\x07"  # xterm: put this into the clipboard
SHOWN = r"\x1b]52;c;aGk=\x07"


@pytest.mark.parametrize(
    "data, shown",
    [
        (CLIPBOARD, SHOWN),
        (b"on\r\noff\x7f", r"on\r\noff\x7f"),
        ("21.5 °C".encode(), "21.5 °C"),
        (b"\xff\x9b2J", r"\xff\x9b2J"),
        ("\u009b2J", r"\x9b2J"),
        ("a\u202eb\u2028\u200b", r"a\u202eb\u2028\u200b"),
        (bytearray(range(32)), "".join(c if c.isprintable() else repr(c)[1:-1] for c in map(chr, range(32)))),
    ],
)
def test_control_characters_are_escaped(data, shown):
    assert printable(data) == shown
    assert not {c for c in printable(data) if ord(c) < 32}
    assert printable("a\n\tb\r", "\n\t") == "a\n\tb\\r"


def test_the_monitor_and_the_client_print_no_control_characters(capsys, monkeypatch):
    shows = monitor.Monitor.__new__(monitor.Monitor)
    shows._left, shows._write = 0, lambda *_: None
    member = types.SimpleNamespace(accepted=1, dropped={}, epoch=1, sender=5, sequence=0, data=CLIPBOARD)
    for as_json in (False, True):
        shows._as_json = as_json
        shows._report(observed.described(b"datagram", ("192.0.2.1", 1), member, (0, {}), observed.OwnMessages()))
    text, as_json = capsys.readouterr().out.splitlines()
    assert text.endswith(SHOWN) and json.loads(as_json)["message"].encode() == CLIPBOARD
    assert "\x1b" not in text + as_json

    class Connection:
        def __init__(self):
            self.messages = [CLIPBOARD + b"\n"]

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.messages:
                raise StopAsyncIteration
            return self.messages.pop()

    async def nothing(connection):
        pass

    monkeypatch.setattr(watched, "_send_lines", nothing)
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    asyncio.run(watched.pipe(Connection()))
    assert out.getvalue() == SHOWN + "\n"
