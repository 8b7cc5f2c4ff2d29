// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// With the linker's options --wrap=gc_alloc --wrap=gc_realloc --wrap=gc_free each object of MicroPython is an allocation of its own,
// whose bounds sanitizers and valgrind know. Nothing is collected.

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// MicroPython takes it for granted that memory is zero.
void *__wrap_gc_alloc(size_t size, unsigned int flags) {
    (void)flags;
    return size ? calloc(1, size) : NULL;
}

void __wrap_gc_free(void *memory) {
    free(memory);
}

void *__wrap_gc_realloc(void *memory, size_t size, bool may_move) {
    if (memory && !may_move && size) {
        return NULL;
    }
    size_t before = memory ? malloc_usable_size(memory) : 0;
    void *other = __wrap_gc_alloc(size, 0);
    if (other) {
        memcpy(other, memory, before < size ? before : size);
    }
    free(memory);
    return other;
}
