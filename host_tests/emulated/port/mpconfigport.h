// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// MicroPython with the modules that it has on an ESP32 and an RP2040, without the hardware.

#include <alloca.h>
#include <stddef.h>
#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#if defined(__XTENSA__)
#define MICROPY_EMIT_XTENSAWIN (1)
#define MICROPY_NLR_SETJMP (1)
#define MICROPY_GCREGS_SETJMP (1)
#define MICROPY_PY_SYS_PLATFORM "qemu-xtensa"
#define MICROPY_HW_MCU_NAME "Xtensa"
#elif defined(__ARM_ARCH_ISA_THUMB)
#define MICROPY_EMIT_THUMB (1)
#define MICROPY_EMIT_INLINE_THUMB (1)
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *)((mp_uint_t)(p) | 1))
#define MICROPY_PY_SYS_PLATFORM "qemu-cortex-m33"
#define MICROPY_HW_MCU_NAME "Cortex-M33"
#endif
#define MICROPY_OPT_COMPUTED_GOTO (1)
#define MICROPY_PERSISTENT_CODE_LOAD (1)

#define MICROPY_ALLOC_PATH_MAX (128)
#define MICROPY_ENABLE_GC (1)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_ERROR_REPORTING (MICROPY_ERROR_REPORTING_NORMAL)
#define MICROPY_USE_INTERNAL_ERRNO (1)
#define MICROPY_STACK_CHECK_MARGIN (1024)
#define MICROPY_SCHEDULER_DEPTH (8)
#define MICROPY_STREAMS_POSIX_API (1)

#define MICROPY_VFS (1)
#define MICROPY_READER_VFS (1)

#define MICROPY_PY_CRYPTOLIB (1)
#define MICROPY_PY_CRYPTOLIB_CTR (1)
#define MICROPY_SSL_MBEDTLS (1)
#define MICROPY_PY_HASHLIB_SHA256 (1)
#define MICROPY_PY_OS_UNAME (1)
#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_OS_INCLUDEFILE "urandom.c"
#define MICROPY_PY_TIME_TIME_TIME_NS (0)

#define MICROPY_HW_BOARD_NAME MICROPY_PY_SYS_PLATFORM

#define MICROPY_INTERNAL_WFE(timeout_ms) port_wait(timeout_ms)
void port_wait(int timeout_ms);

#define MP_STATE_PORT MP_STATE_VM

typedef int32_t mp_int_t;
typedef uint32_t mp_uint_t;
typedef long mp_off_t;
#define MP_SSIZE_MAX (0x7fffffff)
#define UINT_FMT "%lu"
#define INT_FMT "%ld"
#define MP_NEED_LOG2 (1)
