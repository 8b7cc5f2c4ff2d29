# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The texts of `dicectl group ask` and `monitor` for CoAP messages, and for members that do not answer (D17)."""

import pytest

from dice.coap.codes import CONTENT, GET, PUT, URI_PATH, URI_QUERY
from dice.coap.message import NON, Message
from dicectl.cli import group_messages
from dicectl.member import coap_text


@pytest.mark.parametrize(
    "code, options, payload, text",
    [
        (GET, [(URI_PATH, b"light")], b"", "GET light"),
        (GET, [(URI_PATH, b"a"), (URI_PATH, b"b"), (URI_QUERY, b"x=1"), (URI_QUERY, b"y")], b"", "GET a/b?x=1&y"),
        (PUT, [(URI_PATH, b"light")], b"on", "PUT light: on"),
        (CONTENT, [], b"on", None),
    ],
)
def test_a_request_is_shown_as_people_write_it(code, options, payload, text):
    """It was `T=M\\u0159a\\xbe\\xb5light`."""
    assert coap_text.request(Message(NON, code, 7, b"toke", options, payload).encode()) == text


@pytest.mark.parametrize("message", [b"", b"on", b"OFF", b"Temperature 20.5", b"T\xc5\x99", b"QUIT", b"AAAAAAAAAAAA"], ids=repr)
def test_other_messages_are_no_requests(message):
    assert coap_text.request(message) is None


def test_who_did_not_answer_is_told_with_what_is_known(capsys):
    here = {"device": "lamp-1", "connected": True, "state": "connected"}
    away = {"device": "lamp-2", "connected": False, "state": "silent", "heard_s": 720}
    group_messages._print_silent("nosuch", [here, away], True)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("no answer from lamp-1: a member that has no nosuch does not answer")
    assert second == "no answer from members that are away: lamp-2 (silent for 12 min)"
    group_messages._print_silent("light", [], True)
    group_messages._print_silent("light", [away], False)
    assert capsys.readouterr().err.splitlines() == [second]
    group_messages._print_silent("light", [], False)
    assert "no answer from any member" in capsys.readouterr().err
