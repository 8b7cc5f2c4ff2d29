// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// The processor, for the assembler and the linker, which load this and binutils' own table of instructions by $XTENSA_GNU_CONFIG.
// It is what QEMU's dc233c has of an ESP32: 32 registers instead of 64, no muluh, no floating point.

int plugin_is_GPL_compatible; // which binutils asks of whoever is loaded

#define XCHAL_HAVE_ABS 1
#define XCHAL_HAVE_ADDX 1
#define XCHAL_HAVE_BE 0
#define XCHAL_HAVE_BOOLEANS 0
#define XCHAL_HAVE_CLAMPS 1
#define XCHAL_HAVE_CONST16 0
#define XCHAL_HAVE_DENSITY 1
#define XCHAL_HAVE_DIV32 1
#define XCHAL_HAVE_FP 0
#define XCHAL_HAVE_FP_DIV 0
#define XCHAL_HAVE_FP_POSTINC 0
#define XCHAL_HAVE_FP_RECIP 0
#define XCHAL_HAVE_FP_RSQRT 0
#define XCHAL_HAVE_FP_SQRT 0
#define XCHAL_HAVE_L32R 1
#define XCHAL_HAVE_LOOPS 1
#define XCHAL_HAVE_MAC16 1
#define XCHAL_HAVE_MINMAX 1
#define XCHAL_HAVE_MUL16 1
#define XCHAL_HAVE_MUL32 1
#define XCHAL_HAVE_MUL32_HIGH 0
#define XCHAL_HAVE_NSA 1
#define XCHAL_HAVE_PREDICTED_BRANCHES 0
#define XCHAL_HAVE_RELEASE_SYNC 1
#define XCHAL_HAVE_S32C1I 1
#define XCHAL_HAVE_SEXT 1
#define XCHAL_HAVE_THREADPTR 1
#define XCHAL_HAVE_WIDE_BRANCHES 0
#define XCHAL_HAVE_WINDOWED 1
#define XCHAL_NUM_AREGS 32
#define XCHAL_MAX_INSTRUCTION_SIZE 3
#define XCHAL_INST_FETCH_WIDTH 4

#define XSHAL_USE_ABSOLUTE_LITERALS 0
#define XSHAL_HAVE_TEXT_SECTION_LITERALS 1
#define XTHAL_ABI_WINDOWED 0
#define XTHAL_ABI_CALL0 1
#define XSHAL_ABI XTHAL_ABI_WINDOWED

// Nothing asks for these, but they have to be there.
#define XCHAL_HAVE_MMU 0
#define XCHAL_MMU_MIN_PTE_PAGE_SIZE 1
#define XCHAL_HAVE_DEBUG 1
#define XCHAL_NUM_IBREAK 2
#define XCHAL_NUM_DBREAK 2
#define XCHAL_DEBUGLEVEL 6
#define XCHAL_ICACHE_SIZE 0
#define XCHAL_ICACHE_LINESIZE 4
#define XCHAL_ICACHE_LINEWIDTH 2
#define XCHAL_DCACHE_SIZE 0
#define XCHAL_DCACHE_LINESIZE 4
#define XCHAL_DCACHE_LINEWIDTH 2
#define XCHAL_DCACHE_IS_WRITEBACK 0

#define XTENSA_CONFIG_DEFINITION
#include "xtensa-dynconfig.h"

XTENSA_CONFIG_INSTANCE_LIST;

// GCC 13 and later read these names of macros.
#undef XTENSA_CONFIG_ENTRY
#define TEXT(value) #value
#define VALUE_AS_TEXT(value) TEXT(value)
#define XTENSA_CONFIG_ENTRY(name) "__" #name "=" VALUE_AS_TEXT(name)

const char *const xtensa_config_strings[] = { XTENSA_CONFIG_ENTRY_LIST, 0 };
