# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# Debian's compiler is for the ESP8266; its assembler knows the ESP32's instructions by $XTENSA_GNU_CONFIG.

CROSS_COMPILE ?= xtensa-lx106-elf-
CHIP_CFLAGS = -mabi=windowed -mlongcalls -mtext-section-literals
CHIP_OBJ = start.o system.o arithmetic.o floats.o
CHIP_MARCH = xtensawin
