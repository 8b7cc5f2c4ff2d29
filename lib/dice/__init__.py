# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""DTLS In Constrained Environments: DTLS 1.2 sessions, and secured multicast groups on its record layer.

    import dice

    group = await dice.join("lamps.gsa")
    async for sender, message in group: ...

All that a program needs has a name here: dice.join, dice.connect, dice.PeerError ... (listed in dice.names, described in
docs/api.md). A name is imported when it is first used, so `import dice` costs next to no RAM. Below these names everything is
sans-IO and can be used on its own.
"""

__version__ = "0.1.0"


def __getattr__(name):
    """Return what has this name here; raises AttributeError. MicroPython asks for the modules of a package here as well."""
    try:
        if name.islower():  # else FAT, which ignores case, would find the folder coap for Coap
            return __import__("dice." + name, None, None, (name,))
    except ImportError:
        pass
    from .names import find

    found = globals()[name] = find(name)
    return found
