// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
#include "shared/runtime/interrupt_char.h"
