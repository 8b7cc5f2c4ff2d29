// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT

#include <stdint.h>

#include "py/obj.h"

#define DISK_BYTES (8 << 20)

extern uint8_t disk_content[DISK_BYTES];
extern const mp_obj_base_t disk_obj;

void disk_set_size(size_t size);
