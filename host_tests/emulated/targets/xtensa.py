# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Xtensa with the windowed ABI, as in the ESP32, ESP32-S2 and ESP32-S3; see dicectl.firmware.xtensa."""

from dicectl.firmware import xtensa
from host_tests.emulated.targets.ported import Ported, quiet


class Xtensa(Ported):
    """QEMU's dc233c: little-endian, 32 of the ESP32's 64 registers, without its muluh and its floating point."""

    name = "xtensa"
    title = "Xtensa with the windowed ABI (ESP32, -S2, -S3) in qemu-xtensa"
    architecture = "xtensawin"
    gate_s = 14
    system_call = bytes.fromhex("005000")
    tools = {**xtensa.TOOLS, "qemu-xtensa": "qemu-user", "dpkg-source": "dpkg-dev", "make": "make"}
    headers = (xtensa.GCC, "picolibc-xtensa-lx106-elf")

    def command(self, firmware, *arguments):
        return ["qemu-xtensa", "-cpu", "dc233c", firmware, *arguments]

    def toolchain(self, folder):
        return xtensa.environment(quiet)
