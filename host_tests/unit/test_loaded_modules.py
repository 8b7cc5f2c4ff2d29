# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Modules take RAM on a board only where a program uses what they are for."""

import re
import subprocess

import pytest

from dicectl.firmware import bundle, mpy, profiles, unix_port
from dicectl.measure import footprint

LOADED = "print(*sorted(name for name in sys.modules if 'dice' in name))"
PUBLIC = re.compile(r"curve|p256|ecdsa|ecdhe|kx_(?!psk)|x509|cached_info")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Return the function that returns which modules of dice some code has loaded, of all that a board can have."""
    folder = tmp_path_factory.mktemp("board")
    made = bundle.make(profiles.files("public-keys", unix=True, native=True), mpy.flavour_here("x64"), mpy.cross_version())
    (folder / "dice.mpy").write_bytes(made)

    def run(code):
        argv = [unix_port.find(), "-c", f"import sys, dice\n{code}\n{LOADED}"]
        return subprocess.run(
            argv, cwd=folder, env={"MICROPYPATH": ":.frozen"}, capture_output=True, text=True, check=True
        ).stdout.split()

    return run


def test_a_program_with_pre_shared_keys_loads_nothing_of_public_keys(loaded):
    found = loaded("dice.connect, dice.serve, dice.Psk(b'i', bytes(16)), dice.PskLookup(None), dice.save")
    assert "dice.dtls.kx_psk_server" in found and [name for name in found if PUBLIC.search(name)] == []


def test_a_client_with_a_raw_public_key_loads_no_certificates_and_no_server(loaded):
    found = {name for name in loaded("dice.connect, dice.RawPublicKey(None, [bytes(32)])") if PUBLIC.search(name)}
    assert {"dice.crypto.curve", "dice.crypto.ecdsa", "dice.dtls.ecdhe", "dice.dtls.kx_ecdsa", "dice.dtls.kx_rpk"} <= found
    assert [name for name in found if re.search("x509|kx_cert|server|any|psk|cached", name)] == []


def test_the_lamp_of_the_readme_loads_what_its_row_counts(loaded):
    """A board finds its AES-CCM in another module than a computer, and has no store but the file system's."""
    found = {name for name in loaded("dice.join, dice.DiceError\nimport dice.transport.udp") if "crypto.ccm" not in name}
    counted = {footprint.module_name(file) for file in footprint.lamp_files()}
    found -= {"dice._posix"}  # only the unix port has it
    assert found <= counted and {"dice.aio.group", "dice.transport.udp"} <= found
    assert counted - found <= {"dice.crypto.ccm_viper", *(name for name in counted if name.count(".") == 1)}
