# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The table of reason codes in `dicectl doctor`: the constants in the library agree with it, and its numbers with dice.limits."""

import ast
import re
from pathlib import Path

import pytest

from dice import errors, limits
from dicectl.doctor import REASONS
from host_tests.portable import reasons

LIB = Path(__file__).resolve().parents[2] / "lib" / "dice"
TREES = {path.relative_to(LIB).as_posix(): ast.parse(path.read_text()) for path in sorted(LIB.rglob("*.py"))}
NUMBER_OF = {name: number for number, (name, _) in REASONS.items()}

# A number once printed by a device in the field keeps its meaning, and its class.
RANGES = {
    "UsageError": (*range(10, 20), *range(70, 80)),
    "FormatError": (*range(20, 30), *range(80, 90)),
    "StoreError": range(30, 40),
    "LimitError": range(40, 50),
    "PeerError": range(50, 70),
}

# All numbers in all sentences, with where they come from.
NUMBERS = {
    "TOO_LONG": [limits.DATAGRAM_MAX_BYTES - limits.RECORD_OVERHEAD_MAX_BYTES],
    "SENDER_ID": [limits.SENDERS_MAX],
    "EPOCH": [0, 1, 0xFFFF],
    "BUDGET": [0, limits.KEY_RECORDS_MAX],
    "NO_ID": [limits.SENDERS_MAX],
}
ADDRESSES = "224.0.0.0 to 239.255.255.255"


def constants(tree):
    """Yield (name, number) of each `_E_NAME = const(number)` of a module."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.startswith("_E_"):
            assert isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "const", ast.unparse(node)
            yield node.targets[0].id.removeprefix("_E_"), ast.literal_eval(node.value.args[0])


def raised(tree):
    """Yield (class, argument) wherever a module makes one of the exceptions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RANGES:
            yield node.func.id, node.args[-1]


def numbers_in(text):
    """Return the numbers that stand in a text as words of their own; 2**23 is one."""
    text = re.sub(r"2\*\*(\d+)", lambda match: str(2 ** int(match[1])), text)
    return [int(number) for number in re.findall(r"(?<![\w.])\d+(?![\w])", text)]


@pytest.mark.parametrize("module", TREES)
def test_constants_agree_with_the_table_and_are_used(module):
    found = dict(constants(TREES[module]))
    for name, number in found.items():
        assert NUMBER_OF.get(name) == number, name
    used = {node.id for node in ast.walk(TREES[module]) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert {f"_E_{name}" for name in found} == {name for name in used if name.startswith("_E_")}


@pytest.mark.parametrize("module", TREES)
def test_each_class_has_its_range(module):
    for name, reason in raised(TREES[module]):
        if name == "PeerError" and ast.unparse(reason) == "error.reason":
            continue  # what another class said, with the alert that it becomes
        assert isinstance(reason, ast.Name) and NUMBER_OF[reason.id.removeprefix("_E_")] in RANGES[name], ast.unparse(reason)


def test_none_of_the_table_is_missing():
    assert {name for tree in TREES.values() for name, _ in constants(tree)} == set(NUMBER_OF)
    assert len(NUMBER_OF) == len(REASONS)


def test_none_is_public():
    assert not [name for tree in TREES.values() for name in ast.walk(tree) if getattr(name, "id", "").startswith("E_")]


def test_those_of_the_portable_tests():
    assert {name.removeprefix("E_"): number for name, number in vars(reasons).items() if name.startswith("E_")} == NUMBER_OF


def test_sentences_are_distinct():
    assert len({text for _, text in REASONS.values()}) == len(REASONS)


def test_sentences_are_sentences():
    for code, (_, text) in REASONS.items():
        assert text == " ".join(text.split()), code
        assert text[0].isalpha() and text.endswith("."), code
        assert text.isascii() and len(text) < 160, code


def test_numbers_agree_with_the_limits():
    for name, text in REASONS.values():
        if name == "ADDRESS":
            assert ADDRESSES in text
            text = text.replace(ADDRESSES, "").replace(" 0.", "")
        assert numbers_in(text) == NUMBERS.get(name, []), name


def test_codes_stay_where_they_are():
    for code in REASONS:
        assert any(code in numbers for numbers in RANGES.values()), code
    assert [REASONS[code][0] for code in (10, 17, 20, 28)] == ["TOO_LONG", "CLOSED", "TRUNCATED", "ADDRESS"]
    assert [REASONS[code][0] for code in (30, 34, 40, 42)] == ["STORE_WRITE", "STORE_SHARED", "SPENT", "CLASH"]


def test_at_most_six_classes():
    classes = [thing for thing in vars(errors).values() if isinstance(thing, type)]
    assert len(classes) <= 6
    assert all(issubclass(thing, errors.DiceError) for thing in classes)
    assert str(errors.UsageError(12)) == "E12"


def test_event_codes():
    assert [errors.NONE, errors.DATA, errors.CLASH, errors.EXPIRED] == [0, 1, 2, 3]
