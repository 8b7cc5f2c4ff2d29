# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Cortex-M33, as in the RP2350 of a Pico 2: Arm's MPS2 board with its image AN505 in QEMU."""

from host_tests.emulated.targets.ported import Ported

_GCC = "arm-none-eabi-gcc"


class CortexM33(Ported):
    """Thumb-2 with DSP instructions and floating point of 32 bits."""

    name = "cortex_m33"
    title = "Cortex-M33 (RP2350), MPS2 AN505 in qemu-system-arm"
    architecture = "armv7emsp"
    system_call = bytes.fromhex("abbe")
    tools = {_GCC: "gcc-arm-none-eabi", "qemu-system-arm": "qemu-system-arm"}
    tools |= {"apt-get": "apt", "dpkg-source": "dpkg-dev", "make": "make", "gcc": "gcc"}
    headers = (_GCC, "libnewlib-arm-none-eabi")

    def command(self, firmware, *arguments):
        machine = ["qemu-system-arm", "-M", "mps2-an505", "-display", "none", "-monitor", "none", "-serial", "none"]
        words = ",".join(f"arg={word}" for word in ("firmware.elf", *arguments))
        return [*machine, "-semihosting-config", f"enable=on,target=native,{words}", "-kernel", str(firmware)]
