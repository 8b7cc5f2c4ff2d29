# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Calls the functions of `_dice` with random arguments, most of them wrong; test_user_module.py runs it, where bounds are checked.

    micropython native_fuzz.py MODULE FIRST LAST        seeds FIRST to LAST - 1; prints how many calls ended in which way

A call returns what its function may return, or raises TypeError or ValueError (open_next, of objects without the attributes of a
Context, AttributeError) and has changed nothing.
"""

import array
import random
import sys

CCM, P256 = ("crypt", "seal", "open", "open_next"), ("public", "ecdh", "sign", "verify")
SIZES = 0, 1, 3, 4, 5, 7, 8, 12, 13, 15, 16, 17, 20, 21, 28, 29, 31, 32, 33, 37, 63, 64, 65, 66, 100, 256, 257, 300, 1000
NUMBERS = 0, 1, 2, 4, 8, 13, 16, 18, 21, 255, 256, 65535, 65536, (1 << 29) - 1, 1 << 30, (1 << 31) - 1, 1 << 32, (1 << 48) - 1
NUMBERS += (1 << 48, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, 1 << 64, 1 << 200)
KEYS = bytes(32), bytes(31) + b"\1", b"\xff" * 32, bytes(range(32))
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Changes:
    """No integer; its methods change a list that the function reads."""

    def __init__(self, given):
        self._given = given

    def _change(self, *_):
        self._given.clear()
        self._given.append(bytearray(64))
        return 5

    __int__ = __rshift__ = __index__ = _change


class Text(str):
    pass


class Bytes(bytearray):
    pass


def number():
    """Return an integer, mostly at an edge."""
    chosen = random.choice(NUMBERS) + random.choice((0, 0, 0, 1, -1))
    return -chosen if random.randrange(6) == 0 else chosen


def buffer(shared, size=None):
    """Return an object with bytes: of a size, or of a random one; often a part of `shared`, so that arguments overlap."""
    if size is None or random.randrange(8) == 0:
        size = random.choice(SIZES)
    kind = random.randrange(9)
    if kind < 4 and size <= len(shared):
        at = random.randrange(len(shared) - size + 1)
        return memoryview(shared)[at : at + size]
    data = bytes(random.getrandbits(8) for _ in range(size)) if random.randrange(3) else bytes(size)
    if kind == 4:
        return memoryview(data)
    if kind == 5:
        return array.array("H", range(size // 2))
    if kind == 6:
        return Bytes(data)
    return bytearray(data) if kind == 7 else data


def anything(shared):
    """Return any object."""
    kind = random.randrange(14)
    if kind < 4:
        return number()
    if kind < 7:
        return buffer(shared)
    some = None, "1" * random.choice(SIZES), Text("1234"), 1.5, True, (), [], {}, object(), len, int, Changes([]), shared, b""
    return random.choice(some)


def cipher(module, shared):
    """Return a cipher of a suite, or almost."""
    function = random.choice((module.crypt, module.crypt, module.crypt, lambda *_: None, None, 1))
    start, at = random.choice((21, 13, 12, 255, 256)), random.choice((13, 3, 0, 1 << 20))
    parts = [function, start, at, random.choice((8, 16, 7, 0, 255)), 4, 20]
    if random.randrange(4) == 0:
        parts[random.randrange(6)] = anything(shared)
    if random.randrange(10) == 0:
        parts = parts[: random.randrange(6)]
    return parts if random.randrange(3) == 0 else tuple(parts)


class Sender:
    """A sender of a group, or almost."""

    def __init__(self, shared):
        self.next = random.choice((0, 0, 0, 1, None))
        self.at = random.choice((20, 20, 20, 16, 19, 0, 64, -1, 1 << 29, None))


class Context:
    """A Context of a group, or almost; `changes` is what loses its bytes while its senders are looked up."""

    def __init__(self, module, shared, changes):
        self.epoch, self.id_bytes, self.own_id = random.choice((1, 1, 1, 0, None)), random.choice((1, 1, 2, None)), 9
        self.cipher = cipher(module, shared) if random.randrange(3) else (module.crypt, 21, 13, 8, 4, 20)
        self.state = buffer(shared, random.choice((20, 19, 28, 64))) if random.randrange(6) else anything(shared)
        self.senders = {5: Sender(shared)} if random.randrange(4) else self
        self._changes = changes

    def get(self, _):
        for changed in (self._changes, self.cipher):
            if isinstance(changed, (bytearray, list)):  # it moves to other memory
                changed.extend(bytes(5000))
        return Sender(b"")


def group_record(size):
    """Return one of epoch 1, SenderID 5 and sequence 0."""
    return bytearray(b"\x17\xfe\xfd\0\1\5\0\0\0\0\0" + (size - 13).to_bytes(2, "big") + bytes(size - 13))


def key(shared):
    return random.choice(KEYS) if random.randrange(2) else buffer(shared, 32)


def arguments(module, name, shared):
    """Return what a function takes, before some of it becomes wrong."""
    if name == "crypt":
        start, tag, length = random.choice((0, 13, 21)), random.choice((4, 8, 16)), random.choice((0, 1, 16, 40))
        data = buffer(shared, start + length + tag)
        aad = random.choice((None, b"", buffer(shared)))
        text = random.choice((None, buffer(shared, length)))
        return [start, buffer(shared, 4), tag, buffer(shared, 20), random.choice((0, 3, 12)), buffer(shared, 16), data, aad, text]
    if name == "seal":
        text = buffer(shared)
        return [cipher(module, shared), buffer(shared, 16), buffer(shared, 4), random.choice((22, 255)), 1, abs(number()), text]
    if name == "open":
        return [cipher(module, shared), buffer(shared, 16), buffer(shared, 4), buffer(shared)]
    if name == "open_next":
        data = group_record(random.choice((21, 22, 29, 30, 100, 1232, 1233)))
        context = Context(module, shared, data)
        if isinstance(context.cipher, tuple) and random.randrange(4) == 0:
            context.cipher = list(context.cipher)
        return [module.crypt, context, data]
    if name == "public":
        return [key(shared)]
    point = random.choice((b"\4" + bytes(64), buffer(shared, 65), module.public(KEYS[3])))
    if name == "ecdh":
        return [key(shared), point]
    if name == "sign":
        return [key(shared), buffer(shared, 32), key(shared)]
    return [point, buffer(shared, 32), random.choice((buffer(shared, 64), N.to_bytes(32, "big") * 2))]


def is_right(name, result):
    """Return whether it is what a function may return."""
    if name in ("public", "ecdh", "sign"):
        size = {"public": 65, "ecdh": 32, "sign": 64}[name]
        return (type(result) is bytes and len(result) == size) or (name == "sign" and result is None)
    if name == "verify":
        return type(result) is bool
    if name == "open_next":
        return result is None or (len(result) == 3 and (result[2] is None or type(result[2]) is bytes))
    return result is None or type(result) is {"crypt": bytes, "open": bytes, "seal": bytearray}[name]


def call(module, name, ended):
    """Call a function once, and count how it ended."""
    shared = bytearray(random.getrandbits(8) for _ in range(random.choice((70, 400))))
    given = arguments(module, name, shared)
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        given[random.randrange(len(given))] = anything(shared)
    if name == "seal" and random.randrange(20) == 0:
        given[0] = list(given[0]) if isinstance(given[0], tuple) else [module.crypt, 21, 13, 8]
        given[5] = Changes(given[0])
    if random.randrange(20) == 0:
        given = random.choice((given[:-1], given + [None], []))
    before = bytes(shared)
    try:
        result = getattr(module, name)(*given)
    except (TypeError, ValueError, AttributeError) as error:
        assert name == "open_next" or not isinstance(error, AttributeError), (name, given, error)
        assert shared == before, (name, given, error)
        result = type(error)
    else:
        assert is_right(name, result), (name, given, result)
        result = type(result)
    what = "%s: %s" % (name, result.__name__)
    ended[what] = ended.get(what, 0) + 1


def main(module, first, last):
    """Call them."""
    ended = {}
    for seed in range(first, last):
        random.seed(seed)
        try:
            for name in CCM * 12 + P256:
                call(module, name, ended)
        except BaseException:
            print("seed", seed)
            raise
    for what in sorted(ended):
        print(what, ended[what])


if __name__ == "__main__":
    main(__import__(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
