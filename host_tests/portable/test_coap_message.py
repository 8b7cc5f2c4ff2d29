# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP messages: the examples of RFC 7252, appendix A, and the message format errors of section 3."""

from support import raises

from dice.coap.codes import ACK, CON, CONTENT, GET, NON, RST, URI_PATH
from dice.coap.message import Message, decode, path_options, uint
from dice.errors import FormatError
from dice.limits import COAP_OPTIONS_MAX
from dice.reasons import E_COAP

# Figures 16 to 20 of RFC 7252, appendix A: without and with a token, and with a payload.
REQUEST = b"\x40\x01\x7d\x34\xbbtemperature"
RESPONSE = b"\x60\x45\x7d\x34\xff22.3 C"
REQUEST_WITH_TOKEN = b"\x41\x01\x7d\x35\x20\xbbtemperature"
RESPONSE_WITH_TOKEN = b"\x61\x45\x7d\x35\x20\xff22.3 C"


def test_the_requests_of_rfc_7252_appendix_a():
    for token, encoded, number in ((b"", REQUEST, 0x7D34), (b"\x20", REQUEST_WITH_TOKEN, 0x7D35)):
        message = decode(encoded)
        assert (message.kind, message.code, message.message_id, message.token) == (CON, GET, number, token)
        assert message.path() == "temperature" and message.payload == b""
        assert Message(CON, GET, number, token, path_options("temperature")).encode() == encoded


def test_the_responses_of_rfc_7252_appendix_a():
    for token, encoded, number in ((b"", RESPONSE, 0x7D34), (b"\x20", RESPONSE_WITH_TOKEN, 0x7D35)):
        message = decode(encoded)
        assert (message.kind, message.code, message.message_id, message.token) == (ACK, CONTENT, number, token)
        assert message.options == [] and message.payload == b"22.3 C"
        assert Message(ACK, CONTENT, number, token, (), b"22.3 C").encode() == encoded


def test_empty_messages_round_trip():
    assert Message(RST, 0, 0xABCD).encode() == b"\x70\x00\xab\xcd"
    assert decode(b"\x70\x00\xab\xcd").kind == RST
    assert decode(b"\x60\x00\xab\xcd").kind == ACK


def test_options_of_every_number_and_length_round_trip():
    for number in (1, 12, 13, 14, 268, 269, 270, 65000):
        for length in (0, 1, 12, 13, 14, 268, 269, 270, 1000):
            message = decode(Message(NON, GET, 1, b"", [(number, bytes(length))], b"x").encode())
            assert message.options == [(number, bytes(length))] and message.payload == b"x"
    assert Message(NON, GET, 1, b"", [(13, b"")]).encode()[4:] == b"\xd0\x00"
    assert Message(NON, GET, 1, b"", [(269, b"")]).encode()[4:] == b"\xe0\x00\x00"


def test_options_are_sorted_and_repeated_ones_keep_their_order():
    options = [(15, b"q"), (URI_PATH, b"b"), (URI_PATH, b"a"), (1, b"")]
    found = decode(Message(CON, GET, 1, b"tok", options).encode())
    assert found.options == [(1, b""), (URI_PATH, b"b"), (URI_PATH, b"a"), (15, b"q")]
    assert found.path() == "b/a" and found.option(15) == b"q" and found.option(2) is None
    assert path_options("") == [] and path_options("a/b") == [(URI_PATH, b"a"), (URI_PATH, b"b")]


def test_integers_are_encoded_without_leading_zeros():
    assert [uint(n) for n in (0, 1, 255, 256, 65536)] == [b"", b"\1", b"\xff", b"\1\0", b"\1\0\0"]


def test_malformed_messages_are_refused():
    for data in (
        b"",
        b"\x40\x01\x00",  # truncated
        b"\x00\x01\x00\x01",  # version 0
        b"\x80\x01\x00\x01",  # version 2
        b"\x49\x01\x00\x01123456789",  # a token of 9 bytes
        b"\x44\x01\x00\x01123",  # truncated within the token
        b"\x40\x00\x00\x01\xff",  # an empty message that is not empty
        b"\x41\x00\x00\x011",
        b"\x40\x21\x00\x01",  # codes of class 1, 6 and 7
        b"\x40\xc1\x00\x01",
        b"\x40\xe1\x00\x01",
        b"\x40\x01\x00\x01\xff",  # no payload after the marker
        b"\x40\x01\x00\x01\xf0",  # 15 is reserved
        b"\x40\x01\x00\x01\x0f",
        b"\x40\x01\x00\x01\xd0",  # truncated within a delta
        b"\x40\x01\x00\x01\xe0\x00",
        b"\x40\x01\x00\x01\x0e\x00",
        b"\x40\x01\x00\x01\xb2a",  # truncated within a value
    ):
        raises(FormatError, E_COAP, decode, data)


def test_truncated_or_changed_messages_raise_nothing_but_format_errors():
    whole = bytes(Message(CON, GET, 7, b"token", path_options("a/long-name-of-a-resource") + [(300, b"x")], b"payload").encode())
    for i in range(len(whole)):
        for byte in (b"", b"\0", b"\x0d", b"\xd0", b"\xe1", b"\xf0", b"\xff"):
            try:
                decode(whole[:i] + byte + whole[i + 1 :] if byte else whole[:i]).encode()
            except FormatError:
                pass


def test_a_message_with_more_options_than_the_limit_is_malformed():
    """1,195 bytes of zeros are as many options: 150 KB of objects, without this bound."""
    head = b"\x51\x01\x12\x34t"
    assert len(decode(head + bytes(COAP_OPTIONS_MAX) + b"\xffx").options) == COAP_OPTIONS_MAX
    for data in (bytes(COAP_OPTIONS_MAX + 1), bytes(1190), bytes(COAP_OPTIONS_MAX + 1) + b"\xffx"):
        raises(FormatError, E_COAP, decode, head + data)
