# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The costs of dice on the emulated RP2040 are within boards/budgets.toml, and are those of docs/footprint.json."""

import json

import pytest

from dicectl import resources
from dicectl.emulator import board
from dicectl.errors import CommandError
from dicectl.firmware import boards, profiles, recipe
from dicectl.measure import budgets, footprint, speed

TOLERANCE = 0.05  # of a time or a heap: how far the documents may be off
BLOCKS_BYTES = 64  # of heap, which a value on the stack may keep in use


@pytest.fixture(scope="module")
def committed():
    return json.loads(resources.FIGURES.read_text())


@pytest.fixture(scope="module")
def profile_full(monkeypatch_module):
    """Measure this clone's own firmware, not $DICE_FIRMWARE; skips if it cannot be built."""
    monkeypatch_module.delenv("DICE_FIRMWARE", raising=False)
    try:
        board.check()
        return recipe.firmware("RPI_PICO")
    except CommandError as failure:
        pytest.skip(failure.format_message())


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def within(now, then, blocks=0):
    """Return whether a measurement is about what the documents say."""
    return abs(now - then) <= max(TOLERANCE * then, blocks)


def test_a_members_heap_is_within_budget_and_as_documented(profile_full, committed):
    member = footprint.member_heap(recipe.quiet)
    assert budgets.breaches({"member": member}) == []
    for what, size in member.items():
        assert within(size, committed["member"][what], BLOCKS_BYTES), f"{what}: {size}; run: make footprint"


def test_a_sessions_heap_is_within_budget_and_as_documented(profile_full, committed):
    session = footprint.session(recipe.quiet)
    assert budgets.breaches({"session": session}) == []
    assert session["datagrams"] == 6
    for what, figure in session.items():
        assert within(figure, committed["session"][what], BLOCKS_BYTES), f"{what}: {figure}; run: make footprint"


def test_times_are_within_budget_and_as_documented(profile_full, committed):
    """All of `dicectl bench` runs on the board."""
    first, *lines = speed.rp2040(True)
    assert first["backend"] == "device (AES in software)"
    us = {(line["name"], line["size"]): line["us"] for line in lines if "us" in line}
    assert len(us) == 13
    assert us["seal", 16] < us["seal", 64] < us["seal", 1024]
    times_us = footprint.budgeted(lines)
    assert budgets.breaches({"time_us": times_us}) == []
    for what, time_us in times_us.items():
        assert within(time_us, committed["time_us"][what]), f"{what}: {time_us} us; run: make footprint"


def test_p256_is_within_budget():
    measured = footprint.p256(lambda text: None)
    assert measured["handshake"] == sum(measured[name] for name in ("public", "ecdh", "sign", "verify"))
    assert budgets.breaches({"p256": measured}) == []
    assert {verdict[0].name for verdict in budgets.verdicts({"p256": measured})} == {"p256_handshake", "p256_heap"}


def test_every_module_is_imported_from_the_firmware_with_the_documented_heap(profile_full, committed):
    files = footprint.used(footprint.in_order(profiles.files("full", esp32=False)))
    heap = footprint.import_heap(boards.find("RPI_PICO"), files, True, recipe.quiet)
    assert list(heap) == [name for name in files if name != "dice/transport/udp.py"], "a Pico has no sockets"
    assert "dice/crypto/ccm.py" not in heap, "the board has the same in machine code"
    assert within(sum(heap.values()), sum(committed["import_frozen"][name] for name in heap), 2 * BLOCKS_BYTES), (
        "run: make footprint"
    )
    member = heap["dice/group/member.py"]
    assert 300 < member < 8000


def test_the_heap_of_modules_in_files_is_as_documented(profile_full, committed):
    heap = footprint.import_heap(boards.find("RPI_PICO"), list(committed["import_files"]), False, recipe.quiet)
    assert within(sum(heap.values()), sum(committed["import_files"].values())), "run: make footprint"


def test_the_linked_firmware_is_as_large_as_documented(profile_full, committed):
    """By more than the bytecode: frozen modules also have constants as C data, and names in the table of strings."""
    for profile, size in committed["linked"].items():
        linked = footprint.elf_bytes(profile, recipe.quiet) - footprint.elf_bytes("none", recipe.quiet)
        assert within(linked, size), f"{profile}: {linked} bytes; run: make footprint"


def test_the_smallest_heaps_are_as_documented(committed):
    now = footprint.smallest_heaps(recipe.quiet)
    assert now.keys() == committed["smallest_heap"].keys()
    for scenario, size in now.items():
        assert within(size, committed["smallest_heap"][scenario], 1024), f"{scenario}: {size}; run: make footprint"


def test_the_costs_of_tls_are_as_documented(profile_full, committed):
    """MicroPython's own tls, in one firmware with dice."""
    tls = footprint.tls(recipe.quiet)
    assert tls["suite"] == committed["tls"]["suite"]
    for what in ("linked", "session_bytes", "record_us"):
        assert within(tls[what], committed["tls"][what]), f"{what}: {tls[what]}; run: make footprint"
