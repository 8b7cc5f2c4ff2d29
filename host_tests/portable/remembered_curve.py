# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""P-256 that computes nothing twice on MicroPython, for tests that repeat one handshake hundreds of times."""

from dice._compat import MICROPYTHON
from dice.crypto import curve

_NAMES = ("public", "ecdh", "sign", "verify") if MICROPYTHON else ()
_KEPT_MAX = 64  # results of 300 bytes
_results = {}


def _remembering(name, compute):
    def remembered(*arguments):
        key = (name,) + tuple(bytes(part) for part in arguments if not callable(part))
        if key not in _results:
            try:
                _results[key] = compute(*arguments)
            except ValueError as error:
                _results[key] = error
        if isinstance(_results[key], ValueError):
            raise _results[key]
        return _results[key]

    return remembered


class Remembered:
    """Within it, the curve of MicroPython remembers its results, also for the next one. Signatures of one digest are equal."""

    def __enter__(self):
        self._kept = [getattr(curve, name) for name in _NAMES]
        for name, compute in zip(_NAMES, self._kept):
            setattr(curve, name, _remembering(name, compute))

    def __exit__(self, *raised):
        for name, compute in zip(_NAMES, self._kept):
            setattr(curve, name, compute)
        if len(_results) > _KEPT_MAX:
            _results.clear()
