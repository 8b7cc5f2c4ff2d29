# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every reason code has its sentences in `dicectl doctor`, and their numbers are those of dice.limits."""

import re

from dice import errors, limits
from dicectl.doctor import REASONS

CODES = {name: value for name, value in vars(errors).items() if name.startswith("E_")}

# All numbers in all sentences, with where they come from.
NUMBERS = {
    errors.E_TOO_LONG: [limits.DATAGRAM_MAX_BYTES - limits.RECORD_OVERHEAD_MAX_BYTES],
    errors.E_OPTION: [1, 0, 1 << 29, 1],
    errors.E_SENDER_ID: [limits.SENDERS_MAX],
    errors.E_EPOCH: [0, 1, 0xFFFF],
    errors.E_BUDGET: [0, limits.KEY_RECORDS_MAX],
}
ADDRESSES = "224.0.0.0 to 239.255.255.255"


def numbers_in(text):
    """Return the numbers that stand in a text as words of their own; 2**23 is one."""
    text = re.sub(r"2\*\*(\d+)", lambda match: str(2 ** int(match[1])), text)
    return [int(number) for number in re.findall(r"(?<![\w.])\d+(?![\w])", text)]


def test_every_code_has_its_sentences():
    assert sorted(REASONS) == sorted(CODES.values())
    assert len(set(CODES.values())) == len(CODES)


def test_sentences_are_distinct():
    assert len(set(REASONS.values())) == len(REASONS)


def test_sentences_are_sentences():
    for code, text in REASONS.items():
        assert text == " ".join(text.split()), code
        assert text[0].isalpha() and text.endswith("."), code
        assert text.isascii() and len(text) < 160, code


def test_numbers_agree_with_the_limits():
    for code, text in REASONS.items():
        if code == errors.E_ADDRESS:
            assert ADDRESSES in text
            text = text.replace(ADDRESSES, "").replace(" 0.", "")
        assert numbers_in(text) == NUMBERS.get(code, []), code


def test_codes_stay_where_they_are():
    """A code once printed by a device in the field keeps its meaning."""
    ranges = {"UsageError": range(10, 20), "FormatError": range(20, 30), "StoreError": range(30, 40), "LimitError": range(40, 50)}
    for name, code in CODES.items():
        assert any(code in numbers for numbers in ranges.values()), name
    assert (errors.E_TOO_LONG, errors.E_CLOSED, errors.E_TRUNCATED, errors.E_ADDRESS) == (10, 17, 20, 28)
    assert (errors.E_STORE_WRITE, errors.E_STORE_SHARED, errors.E_SPENT, errors.E_CLASH) == (30, 34, 40, 42)


def test_at_most_six_classes():
    classes = [thing for thing in vars(errors).values() if isinstance(thing, type)]
    assert len(classes) <= 6
    assert all(issubclass(thing, errors.DiceError) for thing in classes)
    assert str(errors.UsageError(12)) == "E12"


def test_event_codes():
    assert [errors.NONE, errors.DATA, errors.CLASH, errors.EXPIRED] == [0, 1, 2, 3]
