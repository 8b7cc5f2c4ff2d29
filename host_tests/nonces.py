# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Records every nonce that a test seals with, in whatever part of dice: no pair of key and nonce may seal two contents.

All that seals calls the `crypt` of a suite in dice.suites: group records, answers, session records, alerts, tickets, saved
sessions. install() puts a recorder before each of them, and host_tests/conftest.py fails every test in which a pair was used for
two contents. A retransmission has the same content, and is no fault.

A test with several worlds that have the same keys and nothing else in common calls RECORD.new_world() before each. A test that
repeats a nonce on purpose is in EXEMPT with the reason. Processes that a test starts are seen, if they are CPython,
in a test with the fixture `recorded_processes`.
"""

import os
import re
import sys
from pathlib import Path

from dice.suites import SUITES

_SITE = str(Path(__file__).parent / "recorded")
_FRAMES = 6  # of each use that are shown

# Folders and files of host_tests whose tests are strict, unless they call new_world(): see there.
STRICT = ("properties/", "unit/test_join_late.py", "unit/test_manager_crashes.py", "unit/test_power_cuts.py")

# Test: why it repeats nonces.
_SEEDED = "networks of one seed draw the same randoms"
_FIXED = "seals different records with one number, because they are compared and not sent"
EXEMPT = {
    "portable/test_loss.py::test_resumptions_by_ticket_connect_with_up_to_30_percent_loss": _SEEDED,
    "portable/test_loss.py::test_resumptions_with_half_lost_end_alike": _SEEDED,
    "portable/test_record.py::test_a_member_and_well_formed_agree_on_what_a_record_is": _FIXED,
    "portable/test_record.py::test_records_round_trip": _FIXED,
    "portable/test_record.py::test_records_with_a_cid_round_trip": _FIXED,
}


def _caller():
    """Return the innermost frames that sealed, the innermost first, as code, instruction, code, instruction, ...

    There is one for each seal, of millions: so a tuple that holds no container, which costs the garbage collector nothing.
    """
    frame = sys._getframe(2)
    frames = ()
    while frame and len(frames) < 2 * _FRAMES:
        frames += (frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return frames


def _shown(frames):
    """Return lines with the place of each frame, the outermost first."""
    places = []
    for code, instruction in zip(frames[::2], frames[1::2]):
        line = next(line for start, end, line in code.co_lines() if start <= instruction < end)
        places.append(f"    {code.co_filename}:{line}")
    return "\n".join(places[::-1])


class Record:
    """The nonces of one test, and those that were repeated."""

    def __init__(self):
        self._strict = False
        self._used = {}  # (key, nonce): (what was sealed, frames)
        self.repeated = []  # sentences
        self.seals = 0

    def begin(self, strict=False):
        """Begin a test, in a new world."""
        self.new_world(strict)
        self.repeated.clear()
        self.seals = 0

    def new_world(self, strict=False):
        """Forget the nonces, but not the repeated ones: from here on, equal keys are other keys.

        `strict`: the same content twice is a repetition too. Nothing of dice seals anything twice, so this is for tests in which
        each world exists once: a number that is used again is found although all messages are alike.
        """
        self._used.clear()
        self._strict = strict

    def check(self, where=""):
        """Raise AssertionError if a nonce was repeated; `where` begins its message. For tests with many worlds."""
        repeated = self.repeated[:]
        self.repeated.clear()
        assert not repeated, where + _told(repeated)

    def note(self, key, nonce, sealed):
        """Note that `sealed`, ciphertext and tag, was made with a key and a nonce: another one has another content."""
        self.seals += 1
        first = (key, nonce) not in self._used
        before, frames = self._used.setdefault((key, nonce), (sealed, _caller()))
        if before != sealed or (self._strict and not first):
            uses = [_shown(frames), _shown(_caller())]
            again = "the same" if before == sealed else "something else"
            self.repeated.append(f"key {key.hex()}, nonce {nonce.hex()} sealed\n{uses[0]}\n  and {again}\n{uses[1]}")

    def read(self, path):
        """Note what other processes have sealed (see recorded/sitecustomize.py)."""
        for line in path.read_text().splitlines() if path.exists() else ():
            self.note(*map(bytes.fromhex, line.split(" ")))

    def around(self, crypt):
        """Return a suite's `crypt` that notes what it seals."""

        def recorded(start, salt, tag_bytes, number, at, key, data, aad, plaintext):
            found = crypt(start, salt, tag_bytes, number, at, key, data, aad, plaintext)
            if plaintext is not None:
                self.note(bytes(key), bytes(salt) + bytes(number[at : at + 8]), bytes(data[start:]))
            return found

        return recorded


def _told(repeated):
    return "%d nonces were used twice:\n%s" % (len(repeated), "\n".join(repeated[:3]))


RECORD = Record()


def install():
    """Put the recorder before every suite; call it once, before anything has taken a suite's `cipher`."""
    for suite in SUITES.values():
        crypt, *others = suite.cipher
        suite.cipher = (RECORD.around(crypt), *others)


def environment(path):
    """Return what Python processes need in their environment to append what they seal to the file `path`."""
    return {"DICE_NONCES": str(path), "PYTHONPATH": os.pathsep.join(filter(None, (_SITE, os.environ.get("PYTHONPATH"))))}


def exempt(nodeid):
    """Return why a test, named as pytest does, may repeat nonces, or None."""
    path, _, name = nodeid.partition("::")
    return EXEMPT.get(path.removeprefix("host_tests/") + "::" + re.split(r"[\[@]", name)[0])  # xdist appends "@" and a group


def verdict(nodeid):
    """Return what is wrong with the nonces of the test that has just run, or None."""
    reason = exempt(nodeid)
    if reason and not RECORD.repeated:
        return f"{nodeid} repeats no nonce any more: remove it from EXEMPT of host_tests/nonces.py"
    if reason or not RECORD.repeated:
        return None
    return _told(RECORD.repeated)
