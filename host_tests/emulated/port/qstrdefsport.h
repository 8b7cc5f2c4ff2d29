// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
