# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# Arm's MPS2 board with its FPGA image AN505, as QEMU has it.

CROSS_COMPILE ?= arm-none-eabi-
CHIP_CFLAGS = -mcpu=cortex-m33 -mthumb -mfpu=fpv5-sp-d16 -mfloat-abi=hard
CHIP_OBJ = system.o
CHIP_MARCH = armv7emsp
CHIP_LIBS = $(foreach name,libc.a libgcc.a,$(shell $(CROSS_COMPILE)gcc $(CHIP_CFLAGS) -print-file-name=$(name)))
