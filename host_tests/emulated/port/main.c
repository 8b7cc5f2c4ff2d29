// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// MicroPython for a processor that only an emulator has: firmware.elf IMAGE [WHERE TO SAVE IT WHEN THE INPUT ENDS]
//
// IMAGE is a littlefs, as on a board's flash. The REPL is on standard input and output. system.h is what lies below.

#include <setjmp.h>
#include <string.h>

#include "py/builtin.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"
#include "disk.h"
#include "system.h"

#define CLOCK_STEP_US (20)
#define PAINT (0x5a)
#define PAINTED_BYTES (4 * STACK_BYTES)

static char heap[HEAP_BYTES] __attribute__((aligned(16)));
static uint64_t clock_us;
static const char *image_path, *save_path;
static size_t image_size;
static char *stack_top;

// The clock. It goes on by a step when a program looks at it, and jumps to the end of each wait: a run takes no longer than its
// instructions, and is the same each time.

mp_uint_t mp_hal_ticks_us(void) {
    clock_us += CLOCK_STEP_US;
    return clock_us;
}

mp_uint_t mp_hal_ticks_ms(void) {
    clock_us += CLOCK_STEP_US;
    return clock_us / 1000;
}

uint64_t mp_hal_time_ns(void) {
    return 1000 * clock_us;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return mp_hal_ticks_us();
}

void mp_hal_delay_us(mp_uint_t us) {
    clock_us += us;
}

void mp_hal_delay_ms(mp_uint_t ms) {
    clock_us += 1000ull * ms;
    mp_handle_pending(true);
}

void port_wait(int timeout_ms) {
    clock_us += timeout_ms < 0 ? 1000 : 1000ull * timeout_ms;
}

// The console.

static void end(int status) {
    if (save_path && !port_write(save_path, disk_content, image_size)) {
        status = 1;
    }
    port_exit(status);
}

int mp_hal_stdin_rx_chr(void) {
    int byte = port_getc();
    if (byte < 0) {
        end(0);
    }
    return byte;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t size) {
    port_puts(text, size);
    return size;
}

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    return flags & (MP_STREAM_POLL_RD | MP_STREAM_POLL_WR);
}

// The module `port`.

// port.stack() paints the stack below itself; the next call returns how many bytes from its beginning were used since then.
static __attribute__((noinline)) mp_obj_t port_stack(void) {
    static bool is_painted;
    jmp_buf registers;
    setjmp(registers); // from here on nothing is written below
    char *lowest = stack_top - PAINTED_BYTES, *here = (char *)__builtin_frame_address(0) - 256, *used = lowest;
    while (used < here && *used == PAINT) {
        used++;
    }
    mp_int_t result = is_painted ? stack_top - used : 0;
    for (volatile char *at = lowest; at < here; at++) {
        *at = PAINT;
    }
    is_painted = true;
    return MP_OBJ_NEW_SMALL_INT(result);
}
static MP_DEFINE_CONST_FUN_OBJ_0(port_stack_obj, port_stack);

static const mp_rom_map_elem_t port_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_port) },
    { MP_ROM_QSTR(MP_QSTR_disk), MP_ROM_PTR(&disk_obj) },
    { MP_ROM_QSTR(MP_QSTR_stack), MP_ROM_PTR(&port_stack_obj) },
};
static MP_DEFINE_CONST_DICT(port_globals, port_globals_table);

const mp_obj_module_t port_module = { {&mp_type_module}, (mp_obj_dict_t *)&port_globals };
MP_REGISTER_MODULE(MP_QSTR_port, port_module);

// What MicroPython asks of a port.

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *value) {
    (void)value;
    port_puts("uncaught exception\n", 19);
    port_exit(2);
}

int port_main(int argc, char **argv) {
    image_path = argc > 1 ? argv[1] : "";
    save_path = argc > 2 ? argv[2] : NULL;
    int size = port_read(image_path, disk_content, DISK_BYTES);
    if (size <= 0) {
        port_puts("usage: firmware.elf IMAGE [PATH TO SAVE IT TO]\n", 47);
        return 2;
    }
    image_size = size;
    disk_set_size(size);
    stack_top = __builtin_frame_address(0);
    for (;;) {
        mp_cstack_init_with_top(stack_top, STACK_BYTES);
        gc_init(heap, heap + HEAP_BYTES);
        mp_init();
        pyexec_frozen_module("_boot.py", false);
        if (!(pyexec_file_if_exists("main.py") & PYEXEC_FORCED_EXIT)) {
            while (!((pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl()) & PYEXEC_FORCED_EXIT)) {
            }
        }
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n"); // mpremote waits for this
        gc_sweep_all();
        mp_deinit();
    }
}
