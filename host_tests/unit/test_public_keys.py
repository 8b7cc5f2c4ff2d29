# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Raw public keys and certificates of devices, and the manager's own keys, in both kinds of registries."""

import os
import random

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dicectl.errors import CommandError
from dicectl.manager.registry import schema
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.public_keys import CERTIFICATE, PSK, RPK, PublicKey
from host_tests.unit.memory_registry import MemoryRegistry

KEYS = [bytes((number,)) * 32 for number in range(1, 9)]


def test_all_kinds_stand_side_by_side_and_after_a_restart(backend):
    registry = backend.open()
    shared, key = registry.enrol("shared")
    raw, nothing = registry.enrol("raw", PublicKey(RPK, KEYS[0]))
    signed, _ = registry.enrol("signed", PublicKey(CERTIFICATE, KEYS[1], "signed.house", KEYS[7]))
    assert nothing == b""
    for _ in range(2):
        assert registry.find(shared) == key and registry.find_raw(KEYS[0]) == KEYS[0]
        assert registry.find_certificate(b"signed.house") == KEYS[1]
        assert [registry.kind(identity) for identity in (shared, raw, signed)] == [PSK, RPK, CERTIFICATE]
        assert registry.public[signed].issuer == KEYS[7]
        sessions = {shared: shared, shared + b":3": shared, KEYS[0]: raw, b"signed.house": signed}
        assert {session: registry.device_of(session) for session in sessions} == sessions
        registry.close()
        registry = backend.open()
    registry.wipe("raw")
    registry.wipe("signed")
    assert registry.find_raw(KEYS[0]) is registry.find_certificate(b"signed.house") is None and not registry.public
    registry.enrol("again", PublicKey(RPK, KEYS[0]))
    registry.close()


def test_no_kind_opens_the_door_of_another(backend):
    """A fingerprint, a name of a certificate and an identity are not secret: no look-up of pre-shared keys answers them."""
    registry = backend.open()
    shared, _ = registry.enrol("shared")
    raw, _ = registry.enrol("raw", PublicKey(RPK, KEYS[0]))
    signed, _ = registry.enrol("signed", PublicKey(CERTIFICATE, KEYS[1], "signed.house", KEYS[7]))
    everything = [shared, raw, signed, *KEYS, b"signed.house", b"", shared + b":1"]
    everything += [each + b":%d" % number for each in everything for number in (0, 1, 2)]
    for wanted in (False, True):
        if wanted:
            for identity in (raw, signed):
                registry.begin_key_change(identity)
            registry.offer_public_key(raw, KEYS[2])
        assert [each for each in everything if registry.find(each)] == [shared]
        assert [each for each in everything if registry.find_raw(each)] == ([KEYS[0], KEYS[2]] if wanted else [KEYS[0]])
        assert [each for each in everything if registry.find_certificate(each)] == [b"signed.house"]
    registry.close()


def test_two_devices_have_never_one_key_or_name(backend):
    registry = backend.open()
    shared, _ = registry.enrol("shared")
    raw, _ = registry.enrol("raw", PublicKey(RPK, KEYS[0]))
    registry.enrol("signed", PublicKey(CERTIFICATE, KEYS[1], "signed.house", KEYS[7]))
    registry.begin_key_change(raw)
    registry.offer_public_key(raw, KEYS[2])
    before = registry.devices(), registry.last_entry
    refused = [PublicKey(RPK, KEYS[0]), PublicKey(RPK, KEYS[1]), PublicKey(RPK, KEYS[2])]
    refused += [PublicKey(CERTIFICATE, KEYS[0], "x", KEYS[7]), PublicKey(CERTIFICATE, KEYS[3], "signed.house", KEYS[7])]
    refused += [PublicKey(CERTIFICATE, KEYS[3], name, KEYS[7]) for name in (shared.decode(), shared.decode() + ":1")]
    for key in refused:
        with pytest.raises(CommandError):
            registry.enrol("x", key)
    other, _ = registry.enrol("other", PublicKey(RPK, KEYS[4]))
    with pytest.raises(CommandError, match="not to have"):
        registry.offer_public_key(other, KEYS[5])
    registry.begin_key_change(other)
    for key in (KEYS[0], KEYS[1], KEYS[2], KEYS[4]):
        with pytest.raises(CommandError):
            registry.offer_public_key(other, key)
    assert registry.public[other].following is None and before[0].keys() < registry.devices().keys()
    registry.close()


@pytest.mark.parametrize(
    "values",
    [
        ("psk", KEYS[0]),
        (RPK, b"short"),
        (RPK, KEYS[0], "a name"),
        (CERTIFICATE, KEYS[0]),
        (CERTIFICATE, KEYS[0], ""),
        ("", KEYS[0]),
    ],
)
def test_what_is_no_public_key_is_refused(values):
    with pytest.raises(CommandError):
        PublicKey(*values)


def test_both_raw_keys_are_good_until_the_new_one_is_proved(backend):
    registry = backend.open()
    identity, _ = registry.enrol("raw", PublicKey(RPK, KEYS[0]))

    def reopened():
        registry.close()
        return backend.open()

    assert not registry.changes_key(identity) and registry.proved(KEYS[0]) == []
    registry.begin_key_change(identity)
    registry = reopened()
    assert registry.changes_key(identity) and registry.find_raw(KEYS[0]) and registry.proved(KEYS[0]) == []
    registry.offer_public_key(identity, KEYS[1])
    registry.begin_key_change(identity)  # which goes on
    registry.offer_public_key(identity, KEYS[1])
    registry.offer_public_key(identity, KEYS[2])  # the device has lost what it had made
    registry = reopened()
    assert [registry.find_raw(key) for key in KEYS[:3]] == [KEYS[0], None, KEYS[2]]
    assert registry.session_identities(identity) == [KEYS[0], KEYS[2]] and registry.proved(KEYS[0]) == []
    assert registry.proved(KEYS[2]) == [KEYS[0], KEYS[2]]
    registry = reopened()
    assert [registry.find_raw(key) for key in KEYS[:3]] == [None, None, KEYS[2]] and not registry.changes_key(identity)
    assert registry.key_number(identity) == 1 and registry.proved(KEYS[2]) == [] and registry.find(identity) is None
    assert [entry["event"] for entry in backend.audit()] == ["enrolled", "key-wanted", *["key-offered"] * 2, "key-changed"]
    registry.close()


def test_a_change_that_is_undone_or_fails_leaves_nothing(backend):
    registry = backend.open()
    identity, _ = registry.enrol("raw", PublicKey(RPK, KEYS[0]))

    def everything():
        return dict(registry.public), [bool(registry.find_raw(key)) for key in KEYS], registry.own_key("rpk"), registry.devices()

    real = registry.end

    def broken(durable):
        real(False)
        if durable:
            raise RegistryError("disk I/O error")

    changes = [
        lambda: registry.enrol("other", PublicKey(RPK, KEYS[3])),
        lambda: registry.begin_key_change(identity),
        lambda: registry.offer_public_key(identity, KEYS[1]),
        lambda: registry.proved(KEYS[1]),
        lambda: registry.store_own_key("rpk", b"private"),
        lambda: registry.wipe("raw"),
    ]
    for change in changes:
        before = everything()
        with pytest.raises(ZeroDivisionError), registry.together():
            change()
            raise ZeroDivisionError
        assert everything() == before
        registry.end = broken
        with pytest.raises(RegistryError):
            change()
        del registry.end
        assert everything() == before
        change()
        after = everything()
        assert after != before
        registry.close()
        registry = backend.open()
        real = registry.end
        assert everything() == after
    registry.close()


def test_the_keys_of_the_manager_are_sealed_as_others_are(sqlite_backend):
    key_of_file, private = os.urandom(32), os.urandom(32)
    registry = sqlite_backend.open(key=key_of_file)
    registry.store_own_key("rpk", private)
    registry.close()
    assert sqlite_backend.traces([private]) == []
    assert private.hex() not in str(sqlite_backend.audit())
    registry = sqlite_backend.open(key=key_of_file)
    assert registry.own_key("rpk") == private
    registry.reseal(None)
    registry.close()
    assert sqlite_backend.traces([private]) == [("house.db", 0)]


def test_a_registry_of_revision_3_gets_the_tables(backend):
    registry = backend.open()
    identity, key = registry.enrol("lamp")
    registry.close()
    backend.sql("DROP TABLE public_key", "DROP TABLE own_key", "UPDATE alembic_version SET version_num = '3'")
    registry = backend.open()
    context = MigrationContext.configure(registry._connection, opts={"compare_type": True})
    assert compare_metadata(context, schema.METADATA) == [] and context.get_current_revision() == schema.REVISION == "5"
    inspector = sa.inspect(registry._connection)
    assert len(inspector.get_unique_constraints("public_key")) == 3
    assert registry.find(identity) == key and registry.own_key("rpk") is None
    registry.enrol("raw", PublicKey(RPK, KEYS[0]))
    registry.close()


@pytest.mark.parametrize("seed", range(40))
def test_the_index_is_that_of_the_rows_after_any_changes(seed):
    """A registry that is opened anew answers the same."""
    chance, registry = random.Random(seed), MemoryRegistry()
    for number in range(60):
        names = list(registry.devices())
        identity = registry.devices()[chance.choice(names)] if names else None
        try:
            match chance.randrange(6):
                case 0 | 1:
                    kind = (
                        PublicKey(RPK, chance.choice(KEYS)),
                        PublicKey(CERTIFICATE, chance.choice(KEYS), chance.choice("ab"), KEYS[7]),
                    )
                    registry.enrol(f"d{number}", chance.choice((None, *kind)))
                case 2 if identity:
                    registry.wipe(registry.name(identity))
                case 3 if identity:
                    registry.begin_key_change(identity)
                case 4 if identity in registry.public:
                    registry.offer_public_key(identity, chance.choice(KEYS))
                case 5:
                    registry.proved(chance.choice(KEYS))
        except CommandError:
            pass
        other = MemoryRegistry()
        other.load(registry.saved())
        for each in [*KEYS, b"a", b"b"]:
            for ask in ("find", "find_raw", "find_certificate", "device_of"):
                assert getattr(registry, ask)(each) == getattr(other, ask)(each)
        held = [fingerprint for key in registry.public.values() for fingerprint in key.fingerprints()]
        assert len(held) == len(set(held)), "two devices have one key"
