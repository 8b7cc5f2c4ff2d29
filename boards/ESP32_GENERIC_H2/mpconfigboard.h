// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// MicroPython's own definition of this board; the port's folder is on the include path.
#include "boards/ESP32_GENERIC_H2/mpconfigboard.h"
