# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""First contact: commitment and code on every interpreter are those of docs/protocol.md, section 17, by Python's hashlib."""

from binascii import hexlify

from dice.dtls.contact import FirstContact, code, commitment

DEVICE_NONCE, MANAGER_NONCE, DEVICE, MANAGER = (bytes([n]) * 32 for n in (1, 2, 3, 4))


def test_commitment_and_code_are_those_of_hashlib():
    # sha256(b"dice contact commitment" + device_nonce + device + manager).hexdigest()
    expected = b"1c14e68132b95cfb2505557e6a21fed886433c2e912c017c83dcb030505aa2e3"
    assert hexlify(commitment(DEVICE_NONCE, DEVICE, MANAGER)) == expected
    # int.from_bytes(sha256(b"dice contact code" + device_nonce + manager_nonce + device + manager).digest()[:8], "big") % 10**6
    assert code(DEVICE_NONCE, MANAGER_NONCE, DEVICE, MANAGER) == "802 326"


def test_each_part_changes_both():
    parts = [DEVICE_NONCE, MANAGER_NONCE, DEVICE, MANAGER]
    seen = [code(*parts)]
    for at in range(4):
        changed = list(parts)
        changed[at] = bytes(32)
        assert code(*changed) not in seen
        seen.append(code(*changed))
        if at != 1:
            assert commitment(changed[0], changed[2], changed[3]) != commitment(DEVICE_NONCE, DEVICE, MANAGER)


def test_each_attempt_has_another_key_and_nonce():
    drawn = []

    def random(count):
        drawn.append(count)
        return bytes([len(drawn)]) * count

    first, second = FirstContact(random), FirstContact(random)
    assert first.private != second.private and first.nonce != second.nonce and len(first.nonce) == 32
