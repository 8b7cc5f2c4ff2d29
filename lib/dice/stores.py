# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The choice of a store (see dice.store)."""

import sys

from ._typing import TYPING
from .store import FileStore

if TYPING:
    from .types import Store


def open_store(folder: str = ".") -> "Store":
    """Return the store of this board: that in NVS on an ESP32 (dice.store_nvs), else FileStore, with its files in `folder`.

    NVS takes over the counters that a FileStore has left in `folder`. Raises StoreError.
    """
    store = FileStore(folder)
    if sys.platform == "esp32":
        from .store_nvs import NvsStore

        return NvsStore(store, folder)
    return store
