# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Each reason code belongs to the class that is raised with it. Its sentence exists and agrees with dice.limits."""

import ast
import re
from pathlib import Path

from dice import errors, limits, reasons
from dicectl.reasons import SENTENCES
from host_tests.each import each

LIB = Path(__file__).resolve().parents[2] / "lib" / "dice"
TREES = {path.relative_to(LIB).as_posix(): ast.parse(path.read_text()) for path in sorted(LIB.rglob("*.py"))}
NUMBER_OF = {name: number for name, number in vars(reasons).items() if name.startswith("E_")}
NAME_OF = {number: name for name, number in NUMBER_OF.items()}

# Devices in the field print these numbers, so a number keeps its meaning and its class.
RANGES = {
    "UsageError": (*range(10, 20), *range(70, 80)),
    "FormatError": (*range(20, 30), *range(80, 90)),
    "StoreError": range(30, 40),
    "LimitError": range(40, 50),
    "PeerError": range(50, 70),
}

# All numbers in the sentences, and the limits that they state.
NUMBERS = {
    reasons.E_TOO_LONG: [limits.DATAGRAM_MAX_BYTES - limits.RECORD_OVERHEAD_MAX_BYTES],
    reasons.E_OPTION: [1, limits.PSK_IDENTITY_MAX_BYTES, 1, limits.PSK_MAX_BYTES],
    reasons.E_SENDER_ID: [limits.SENDERS_MAX],
    reasons.E_EPOCH: [0, 1, 0xFFFF],
    reasons.E_BUDGET: [0, limits.KEY_RECORDS_MAX],
    reasons.E_NO_ID: [limits.SENDERS_MAX],
}
ADDRESSES = "224.0.0.0 to 239.255.255.255, or IPv6 ff00::/8"


def raised(tree):
    """Yield (class, argument) of each exception of dice that a module makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RANGES:
            yield node.func.id, node.args[-1]


def numbers_in(text):
    """Return the numbers that are words of their own in a text; 2**23 is one number."""
    text = re.sub(r"2\*\*(\d+)", lambda match: str(2 ** int(match[1])), text)
    return [int(number) for number in re.findall(r"(?<![\w.])\d+(?![\w])", text)]


@each(TREES)
def test_each_class_is_raised_with_codes_of_its_range(module):
    for name, reason in raised(TREES[module]):
        if name == "PeerError" and ast.unparse(reason) == "error.reason":
            continue  # the reason of another error, passed on with its alert
        assert isinstance(reason, ast.Name) and NUMBER_OF[reason.id] in RANGES[name], ast.unparse(reason)


def test_each_code_has_a_sentence_and_is_raised():
    assert set(NUMBER_OF.values()) == set(SENTENCES)
    assert len(NUMBER_OF) == len(SENTENCES)
    used = {node.id for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not NUMBER_OF.keys() - used


def test_no_sentence_is_used_twice():
    assert len(set(SENTENCES.values())) == len(SENTENCES)


def test_sentences_are_short_and_end_with_a_period():
    for code, text in SENTENCES.items():
        assert text == " ".join(text.split()), code
        assert text[0].isalpha() and text.endswith("."), code
        assert text.isascii() and len(text) < 160, code


def test_numbers_in_sentences_agree_with_the_limits():
    for code, text in SENTENCES.items():
        if code == reasons.E_ADDRESS:
            assert ADDRESSES in text
            text = text.replace(ADDRESSES, "").replace(" 0.", "")
        assert numbers_in(text) == NUMBERS.get(code, []), code


def test_published_codes_keep_their_numbers():
    for code in SENTENCES:
        assert any(code in numbers for numbers in RANGES.values()), code
    assert [NAME_OF[code] for code in (10, 17, 20, 28)] == ["E_TOO_LONG", "E_CLOSED", "E_TRUNCATED", "E_ADDRESS"]
    assert [NAME_OF[code] for code in (30, 34, 40, 42)] == ["E_STORE_WRITE", "E_STORE_SHARED", "E_SPENT", "E_CLASH"]


def test_there_are_at_most_six_error_classes():
    classes = [thing for thing in vars(errors).values() if isinstance(thing, type)]
    assert len(classes) <= 6
    assert all(issubclass(thing, errors.DiceError) for thing in classes)
    assert str(errors.UsageError(12)) == "E12"


def test_event_codes_keep_their_numbers():
    assert [errors.NONE, errors.DATA, errors.CLASH, errors.EXPIRED] == [0, 1, 2, 3]
