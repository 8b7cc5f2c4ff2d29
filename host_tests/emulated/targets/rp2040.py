# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The emulated RP2040 with the heap of a RPI_PICO, dice frozen in its firmware."""

from dicectl.emulator import board
from host_tests.emulated import files
from host_tests.emulated.targets.base import TIMEOUT_S, Target

# These test modules of dice that no firmware has, such as the group manager.
NOT_ON_BOARDS = {"test_manager", "test_names", "test_vectors_hmac", "test_gsa", "test_aio_group", "test_espnow", "test_response"}
NOT_ON_BOARDS |= {"test_member_replay", "test_member_sender_ids", "test_member_rekey", "test_nonce_states"}
NOT_ON_BOARDS |= {"test_manager_numbers", "test_manager_rations", "test_presence", "test_manager_rollback"}
NOT_ON_BOARDS |= {"test_store_nvs", "test_store_rtc"}  # the firmware is that of another board
# The emulator needs up to half an hour for these, half of it for test_states.
SLOW = {"test_aio_group", "test_lifetime", "test_member", "test_replay", "test_ages", "test_aio_supervision", "test_presence"}
SLOW |= {"test_listener", "test_outsiders", "test_repetitions", "test_loss", "test_session", "test_states", "test_aio_session"}
SLOW |= {"test_member_replay", "test_member_sender_ids", "test_member_rekey", "test_resumption", "test_revocation"}
SLOW |= {"test_nonce_states", "test_manager_numbers", "test_manager_rations", "test_manager_rollback"}


class Rp2040(Target):
    """A Cortex-M0+ without Thumb-2; see dicectl.emulator."""

    name = "rp2040"
    title = "RP2040 (Cortex-M0+, `RPI_PICO`) in rp2040py"
    architecture = "armv6m"
    gate_s = 150
    slow = SLOW

    def get(self):
        board.check()
        return board.firmware()

    def run(self, script, files, timeout_s=TIMEOUT_S):
        return board.run(self.get(), script, files, timeout_s=timeout_s)

    def dice(self, name):
        return files.dice(self.architecture, whole=name in NOT_ON_BOARDS)
