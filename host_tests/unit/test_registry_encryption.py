# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry that is encrypted at rest: no key is in its files in clear, and none without its key file or from another place."""

import logging
import secrets
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import IntegrityError

from dice.group.manager import SENDER
from dicectl.__main__ import cli
from dicectl.errors import CommandError
from dicectl.manager.registry import key_file, opening, sealing
from dicectl.manager.registry.base import RegistryError, StoredSession
from dicectl.manager.registry.schema import DEVICE
from host_tests.registries import group, plain

KEY, OTHER = b"k" * 32, b"o" * 32
TOKEN = b"\x1b\x97the token of " * 1


def filled(registry):
    """Fill a registry; return (all secrets, what is to be read back)."""
    manager = group(registry)
    identity, key = registry.enrol("lamp")
    manager.add([identity], SENDER, 0)
    registry.store_sessions({identity: StoredSession("a", TOKEN, 1.0)})
    state = manager.state
    return [key, state.tgk, state.rand, TOKEN], contents(registry)


def contents(registry):
    (stored,) = registry.states()
    return plain(stored.state), registry.read_devices(), registry.sessions()


def test_keys_are_in_no_file_in_clear(backend):
    registry = backend.open()
    secrets_, _ = filled(registry)
    registry.close()
    assert {number for _, number in backend.traces(secrets_)} == {0, 1, 2, 3}, "this test looks for what is not there"


def test_keys_are_sealed_and_read_back(backend):
    registry = backend.open(key=KEY)
    secrets_, before = filled(registry)
    assert backend.traces(secrets_) == []
    registry.close()
    assert backend.traces(secrets_) == []
    registry = backend.open(key=KEY)
    assert contents(registry) == before
    registry.close()


def test_a_wrong_or_missing_key_is_refused_in_one_line_and_nothing_is_written(backend):
    registry = backend.open(key=KEY)
    _, before = filled(registry)
    rows = backend.sql("SELECT * FROM audit ORDER BY number")
    registry.close()
    for key, wanted in ((None, "is encrypted: name its key file with --key-file"), (OTHER, "this is not the key file of")):
        with pytest.raises(CommandError, match=wanted) as failure:
            backend.open(key=key)
        assert "\n" not in failure.value.message
    assert backend.sql("SELECT * FROM audit ORDER BY number") == rows
    registry = backend.open(key=KEY)
    assert contents(registry) == before
    registry.close()


def test_a_standby_checks_its_key_while_another_manager_leads(postgresql_backend, tmp_path):
    name = postgresql_backend.name
    opening.check_key(name, None)
    opening.check_key(name, KEY)
    registry = postgresql_backend.open(key=KEY)
    opening.check_key(name, KEY)
    for key in (None, OTHER):
        with pytest.raises(CommandError, match="--key-file"):
            opening.check_key(name, key)
    opening.check_key(f"postgresql:///dice?host={tmp_path}", OTHER)
    registry.close()


def test_a_key_for_a_registry_in_clear_is_refused(backend):
    backend.open().close()
    with pytest.raises(CommandError, match="is not encrypted: run dicectl manager encrypt first"):
        backend.open(key=KEY)
    backend.open().close()


def test_encryption_is_turned_on_changed_and_turned_off(backend):
    registry = backend.open()
    secrets_, before = filled(registry)
    registry.close()
    now = None
    for key in (KEY, OTHER, None):
        registry = backend.open(key=now)
        registry.reseal(key)
        assert contents(registry) == before, "in the process that changed it"
        registry.checkpoint()
        registry.log("told")
        registry.close()
        assert bool(backend.traces(secrets_)) == (key is None), "nothing of it in clear"
        if key:
            with pytest.raises(CommandError):
                backend.open(key=now)
        now = key
    registry = backend.open()
    assert contents(registry) == before
    events = [entry["event"] for entry in registry.audit()]
    assert [event for event in events if "crypt" in event] == ["encrypted", "encrypted", "decrypted"]
    registry.close()


def test_a_change_of_the_key_that_fails_leaves_the_old_one(backend):
    registry = backend.open(key=KEY)
    _, before = filled(registry)
    with patch.object(registry, "log", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
        registry.reseal(OTHER)
    assert contents(registry) == before
    registry.enrol("next")
    registry.close()
    registry = backend.open(key=KEY)
    assert contents(registry)[0] == before[0] and "next" in registry.devices()
    registry.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE device SET key = (SELECT key FROM device WHERE name = 'other') WHERE name = 'lamp'",
        "UPDATE group_state SET tgk = rand",
        "UPDATE group_state SET tgk = (SELECT key FROM device WHERE name = 'lamp')",
    ],
    ids=["row", "column", "table"],
)
def test_a_value_from_another_place_does_not_verify(backend, change):
    registry = backend.open(key=KEY)
    filled(registry)
    registry.enrol("other")
    registry.close()
    backend.sql(change)
    with pytest.raises(CommandError, match="was changed, or comes from another row or registry"):
        backend.open(key=KEY)


def test_each_bit_of_a_sealed_value_counts():
    sealed = sealing.Sealed(KEY)
    value = secrets.token_bytes(16)
    stored = sealed.seal("device", "key", b"row", value)
    assert sealed.open("device", "key", b"row", stored) == value and stored != sealed.seal("device", "key", b"row", value)
    again = sealing.of_setting(KEY, sealed.setting())
    assert again.open("device", "key", b"row", stored) == value
    for position in range(len(stored) * 8):
        damaged = bytearray(stored)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(sealing.SealError):
            sealed.open("device", "key", b"row", damaged)
    for wrong in (b"", b"\1", stored[:13], stored[:-1]):
        with pytest.raises(sealing.SealError):
            sealed.open("device", "key", b"row", wrong)
    for place in (("group_state", "key", b"row"), ("device", "tgk", b"row"), ("device", "key", b"rox")):
        with pytest.raises(sealing.SealError):
            sealed.open(*place, stored)
    for other in (sealing.Sealed(OTHER), sealing.Sealed(KEY)):  # two registries with one key file share no keys
        with pytest.raises(sealing.SealError):
            other.open("device", "key", b"row", stored)


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "encrypted"])
def test_no_secret_is_in_logs_of_sqlalchemy_or_in_reprs(backend, caplog, key):
    for name in (None, "sqlalchemy", "psycopg"):
        caplog.set_level(logging.DEBUG, name)
    registry = backend.open(key=key)
    secrets_, _ = filled(registry)
    identity = registry.devices()["lamp"]
    with pytest.raises(RegistryError) as failure, registry.transaction():
        registry.store_device(identity, "lamp", secrets_[0])
    text = caplog.text + repr(registry._seal) + repr(failure.value) + repr(registry.sessions())
    with pytest.raises(IntegrityError) as inner:  # as SQLAlchemy raises it
        values = {"identity": identity, "name": "x", "key": secrets_[0], "made": 1, "key_number": 0, "told": 0}
        registry._connection.execute(DEVICE.insert(), values)
    text += repr(inner.value) + str(inner.value)
    assert "INSERT INTO device" in text and "SQL parameters hidden" in text
    for secret in [*secrets_, KEY]:
        assert secret.hex() not in text and repr(secret)[2:-1] not in text
    registry.close()


def test_a_key_file_is_private_and_has_32_bytes(tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    path = tmp_path / "key"
    key_file.create(path)
    assert path.stat().st_mode & 0o777 == 0o600 and len(key_file.load(path)) == 32
    with pytest.raises(CommandError, match="exists already"):
        key_file.create(path)
    path.chmod(0o640)
    with pytest.raises(CommandError, match=f"chmod 600 {path}"):
        key_file.load(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(CommandError, match="is no key file: it has 5 bytes, not 32"):
        key_file.load(path)
    with pytest.raises(CommandError, match="cannot read the key file"):
        key_file.load(tmp_path / "none")
    assert key_file.load() is None


def test_a_credential_of_systemd_is_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert key_file.load() is None
    (tmp_path / "dice-key").write_bytes(KEY)
    (tmp_path / "dice-key").chmod(0o440)  # as systemd makes it, with an ACL
    assert key_file.load() == KEY
    key_file.create(tmp_path / "other")
    assert key_file.load(tmp_path / "other") != KEY


def test_the_commands_turn_encryption_on_and_off(backend, tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    registry = backend.open()
    secrets_, before = filled(registry)
    registry.close()

    def run(*arguments, status=0):
        result = CliRunner().invoke(cli, ["manager", *map(str, arguments)])
        assert result.exit_code == status, result.output
        return " ".join(result.output.replace("│", "").split())

    one, two = tmp_path / "one.key", tmp_path / "two.key"
    run("key", one)
    run("key", two)
    assert "exists already" in run("key", one, status=2)
    assert "would be encrypted" in run("encrypt", backend.name, "--key-file", one, "--dry-run")
    assert backend.traces(secrets_)
    run("encrypt", backend.name, "--key-file", one)
    assert "is encrypted: name its key file" in run("encrypt", backend.name, "--key-file", two, status=2)
    assert "the same key" in run("encrypt", backend.name, "--key-file", one, "--old-key-file", one, status=2)
    run("encrypt", backend.name, "--key-file", two, "--old-key-file", one)
    assert "this is not the key file" in run("decrypt", backend.name, "--key-file", one, status=2)
    assert "encrypted" in run("audit", backend.name), "the log needs no key"
    assert backend.traces(secrets_) == []
    registry = backend.open(key=key_file.load(two))
    assert "another manager" in run("decrypt", backend.name, "--key-file", two, status=1)
    registry.close()
    run("decrypt", backend.name, "--key-file", two)
    registry = backend.open()
    assert contents(registry) == before
    registry.close()
