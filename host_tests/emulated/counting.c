// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// A plugin of QEMU that counts instructions: -plugin counting.so,mark=HEX
//
// Before each instruction with the bytes HEX, a system call of the target, it writes the count so far to standard error, between
// the control characters 0x1d and 0x1e. It declares the few functions that it needs of qemu-plugin.h, which Debian's QEMU 7 lacks.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { ADD_U64 = 0, NO_REGISTERS = 0 };
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t number);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int operation, void *where, uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(
    struct qemu_plugin_insn *instruction, void (*call)(unsigned cpu, void *argument), int flags, void *argument);

int qemu_plugin_version = 1;
static uint64_t count;
static uint8_t mark[4];
static size_t mark_size;

static void report(unsigned cpu, void *argument) {
    (void)cpu;
    (void)argument;
    char text[32];
    int size = snprintf(text, sizeof(text), "\x1d%llu\x1e", (unsigned long long)count);
    if (write(2, text, size) != size) {
        abort();
    }
}

static void translated(uint64_t id, struct qemu_plugin_tb *block) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, &count, 1);
        if (qemu_plugin_insn_size(instruction) == mark_size && !memcmp(qemu_plugin_insn_data(instruction), mark, mark_size)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, report, NO_REGISTERS, NULL);
        }
    }
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info;
    const char *hex = argc == 1 ? strchr(argv[0], '=') : NULL;
    for (hex = hex ? hex + 1 : ""; *hex && mark_size < sizeof(mark); hex += 2) {
        char byte[3] = {hex[0], hex[1], 0};
        mark[mark_size++] = strtoul(byte, NULL, 16);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return mark_size ? 0 : -1;
}
