# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl keyring`: its files, its refusals, and that no failure leaves half a file."""

import ipaddress
import json
import os
import re
import stat
import subprocess
import sys

import pytest

from dice.group.gsa import UNKNOWN, decode
from dice.limits import KEY_RECORDS_MAX
from dicectl.errors import CommandError
from dicectl.manager import group_file

TGK = "00112233445566778899aabbccddeeff"


@pytest.fixture
def run(tmp_path):
    """Return a function that runs dicectl in an empty folder."""

    def run(*arguments):
        argv = [sys.executable, "-m", "dicectl", *arguments]
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.fixture
def lamps(tmp_path):
    """Return the path of a group file with the sender `switch`."""
    group = group_file.new("lamps")
    group_file.add_sender(group, "switch")
    group_file.create(tmp_path / "lamps.group", group)
    return tmp_path / "lamps.group"


def refused(done):
    """Assert exit status 2 and one clear line; return that line."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("dicectl: ")
    return done.stderr


def test_sender_and_listener_get_the_same_keys_and_only_the_sender_an_id(run, lamps, tmp_path):
    """They get the same address too."""
    assert run("keyring", "export", "lamps.group", "lamp.gsa").returncode == 0
    assert run("keyring", "export", "lamps.group", "switch.gsa", "--sender", "switch").returncode == 0
    lamp = decode((tmp_path / "lamp.gsa").read_bytes())
    switch = decode((tmp_path / "switch.gsa").read_bytes())
    assert (lamp.key, lamp.gid, lamp.address, lamp.port) == (switch.key, switch.gid, switch.address, switch.port)
    assert (lamp.own_id, switch.own_id) == (None, 1)
    assert lamp.senders == switch.senders == [(1, 1 << 48)]
    assert lamp.fresh
    assert switch.fresh


def test_the_tek_is_derived_as_in_the_draft():
    """The vector of draft-keoh-tls-multicast-security-00, with an IPv4 address mapped into IPv6."""
    group = group_file.new("lamps", address="239.1.2.3", port=5684)
    group_file.add_sender(group, "switch")
    group.update(tgk=TGK, cs_id="00000001", rand="101112131415161718191a1b1c1d1e1f")
    import hashlib
    import hmac

    seed = bytes.fromhex("2ad01c64" + "00" * 10 + "ffff" + "ef010203" + "00000001") + bytes(range(16, 32))
    a = hmac.digest(bytes.fromhex(TGK), seed, hashlib.sha256)
    assert group_file.gsa(group).key == hmac.digest(bytes.fromhex(TGK), a + seed, hashlib.sha256)[:16]


def test_shared_derivation_divides_the_budget_among_possible_senders(run, tmp_path):
    """All possible senders share the records of one key."""
    assert run("keyring", "new", "g.group", "--derive", "shared", "--layout", "d00", "--suite", "ccm").returncode == 0
    assert run("keyring", "add-sender", "g.group", "a", "--id", "65535").returncode == 0
    assert run("keyring", "export", "g.group", "a.gsa", "--sender", "a").returncode == 0
    gsa = decode((tmp_path / "a.gsa").read_bytes())
    assert (gsa.layout, gsa.derive, gsa.own_id, len(gsa.key)) == (2, 2, 65535, 20)
    assert gsa.budget * 50 <= KEY_RECORDS_MAX


def test_a_group_can_have_an_ipv6_address(run, tmp_path):
    """One that was given, in its canonical form, or a random one; its GSAs have version 2."""
    run("keyring", "new", "site.group", "--address", "FF35:0::1234")
    run("keyring", "new", "any.group", "--ipv6")
    assert "ff35::1234 port" in run("keyring", "show", "site.group").stdout
    for name in ("site", "any"):
        group = json.loads((tmp_path / f"{name}.group").read_text())
        run("keyring", "add-sender", f"{name}.group", "switch")
        run("keyring", "export", f"{name}.group", f"{name}.gsa")
        encoded = (tmp_path / f"{name}.gsa").read_bytes()
        assert encoded[0] == 2
        assert decode(encoded).address == ipaddress.IPv6Address(group["address"]).packed
    assert group["address"].startswith("ff15:")


def test_a_sender_is_exported_only_once_per_epoch(run, lamps, tmp_path):
    """A second device with the same SenderID would repeat nonces."""
    assert run("keyring", "export", "lamps.group", "one.gsa", "--sender", "switch").returncode == 0
    assert "repeat nonces" in refused(run("keyring", "export", "lamps.group", "two.gsa", "--sender", "switch"))
    assert not (tmp_path / "two.gsa").exists()
    assert run("keyring", "rekey", "lamps.group").returncode == 0
    assert run("keyring", "export", "lamps.group", "two.gsa", "--sender", "switch").returncode == 0
    one, two = (decode((tmp_path / name).read_bytes()) for name in ("one.gsa", "two.gsa"))
    assert (one.epoch, two.epoch) == (1, 2)
    assert one.key != two.key


def test_a_listener_exported_after_a_sender_gets_an_unknown_sequence_number(run, lamps, tmp_path):
    """The sender may already have sent, so its entry says "unknown", and a warning is printed."""
    run("keyring", "export", "lamps.group", "switch.gsa", "--sender", "switch")
    done = run("keyring", "export", "lamps.group", "late.gsa")
    assert "switch" in done.stderr
    assert decode((tmp_path / "late.gsa").read_bytes()).senders == [(1, UNKNOWN)]


def test_of_two_concurrent_exports_only_one_gets_the_sender(lamps, tmp_path):
    """They are serialised by a lock."""
    argv = [sys.executable, "-m", "dicectl", "keyring", "export", "lamps.group"]
    running = [
        subprocess.Popen(
            [*argv, f"{i}.gsa", "--sender", "switch"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for i in range(4)
    ]
    assert sorted(process.wait() for process in running) == [0, 2, 2, 2]
    assert len(list(tmp_path.glob("*.gsa"))) == 1


def test_secrets_are_private_files_and_shown_only_on_request(run, lamps, tmp_path):
    """Files with keys have mode 0600. `show` prints keys only with its option."""
    run("keyring", "export", "lamps.group", "lamp.gsa")
    run("keyring", "add-sender", "lamps.group", "other")
    for name in ("lamps.group", "lamp.gsa"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    tgk = json.loads(lamps.read_text())["tgk"]
    for arguments in ((), ("--json",)):
        assert tgk not in run("keyring", "show", "lamps.group", *arguments).stdout
        assert tgk in run("keyring", "show", "lamps.group", "--secrets", *arguments).stdout


def test_no_command_takes_a_secret_as_an_argument():
    """Every user of the machine can read command lines."""
    from dicectl.cli.keyring import command

    files_and_choices = {
        "file",
        "gsa",
        "sender",
        "listener",
        "name",
        "sender_id",
        "address",
        "port",
        "layout",
        "derive",
        "suite",
        "lifetime",
    }
    flags = {"as_json", "dry_run", "ipv6", "secrets"}
    for name, subcommand in command.commands.items():
        taken = {parameter.name for parameter in subcommand.params}
        assert taken <= files_and_choices | flags, name
        assert {parameter.name for parameter in subcommand.params if getattr(parameter, "is_flag", False)} == taken & flags, name


@pytest.mark.parametrize(
    "arguments",
    [
        ("keyring", "new"),
        ("keyring", "new", "x.group", "--address", "192.168.0.1"),
        ("keyring", "new", "x.group", "--address", "lamp"),
        ("keyring", "new", "x.group", "--address", "fe80::1"),
        ("keyring", "new", "x.group", "--address", "ff10::1"),
        ("keyring", "new", "x.group", "--address", "ff15::1%eth0"),
        ("keyring", "new", "x.group", "--port", "0"),
        ("keyring", "new", "x.group", "--port", "65536"),
        ("keyring", "new", "x.group", "--layout", "k09"),
        ("keyring", "new", "x.group", "--lifetime", "1y"),
        ("keyring", "new", "x.group", "--lifetime", "999999999d"),
        ("keyring", "new", "lamps.group"),
        ("keyring", "new", "no/such/folder.group"),
        ("keyring", "show", "nothing.group"),
        ("keyring", "show", "."),
        ("keyring", "add-sender", "lamps.group", "switch"),
        ("keyring", "new", ""),
        ("keyring", "new", "", "--dry-run"),
        ("keyring", "new", "lamps.group", "--dry-run"),
        ("keyring", "show", ""),
        ("keyring", "rekey", ""),
        ("keyring", "add-sender", "", "other"),
        ("keyring", "add-sender", "lamps.group", ""),
        ("keyring", "add-sender", "lamps.group", "a/b"),
        ("keyring", "add-sender", "lamps.group", "a\nb"),
        ("keyring", "add-sender", "lamps.group", "a\n"),
        ("keyring", "add-sender", "lamps.group", "a" * 65),
        ("keyring", "add-sender", "lamps.group", "other", "--id", "1"),
        ("keyring", "add-sender", "lamps.group", "other", "--id", "256"),
        ("keyring", "add-sender", "lamps.group", "other", "--id", "-1"),
        ("keyring", "add-sender", "lamps.group", "other", "--id", "one"),
        ("keyring", "add-sender", "lamps.group", "other", "--id", "256", "--dry-run"),
        ("keyring", "export", "lamps.group", "lamps.group"),
        ("keyring", "export", "lamps.group", "lamps.group", "--dry-run"),
        ("keyring", "export", "lamps.group", ""),
        ("keyring", "export", "lamps.group", "", "--dry-run"),
        ("keyring", "export", "lamps.group", "."),
        ("keyring", "export", "lamps.group", ".."),
        ("keyring", "export", "lamps.group", "/"),
        ("keyring", "export", "lamps.group", "x.gsa", "--sender", ""),
        ("keyring", "export", "lamps.group", "n" * 300),
        ("keyring", "export", "", "x.gsa"),
        ("keyring", "export", "lamps.group", "no/such/folder.gsa"),
        ("keyring", "export", "lamps.group", "x.gsa", "--sender", "nobody"),
        ("keyring", "export", "empty.group", "x.gsa"),
        ("keyring", "frobnicate"),
        ("demo", "--pcap", "no/such/folder.pcap"),
        ("demo", "--pcap", "."),
        ("demo", "--pcap", ""),
        ("doctor", "E99999"),
        ("doctor", "E"),
        ("doctor", "²"),
        ("nothing",),
        ("--nothing",),
    ],
)
def test_invalid_input_gives_one_line_and_changes_nothing(run, lamps, tmp_path, arguments):
    """The exit status is 2, and every file is unchanged."""
    group_file.create(tmp_path / "empty.group", group_file.new("empty"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    refused(run(*arguments))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_every_damage_to_a_group_file_is_reported_without_a_traceback(lamps):
    """Each field in turn is missing, or has another type or value."""
    good = json.loads(lamps.read_text())
    for key in good:
        for bad in (None, -1, 1 << 70, "x", [], {}, 1.5):
            damaged = {**good, key: bad}
            if (key, bad) in (("name", "x"), ("listeners", [])):
                continue
            lamps.write_text(json.dumps(damaged))
            with pytest.raises(CommandError):
                group_file.gsa(group_file.load(lamps))
        lamps.write_text(json.dumps({k: v for k, v in good.items() if k != key}))
        if key == "listeners":  # which files of version 0.1 do not contain
            assert group_file.load(lamps) == good
            continue
        with pytest.raises(CommandError):
            group_file.load(lamps)
    for text in ("", "[]", "null", "{", "\0"):
        lamps.write_text(text)
        with pytest.raises(CommandError):
            group_file.load(lamps)


def test_a_crash_between_the_two_writes_of_an_export_wastes_the_sender(lamps, tmp_path, monkeypatch):
    """The group file is marked "exported" first. In the other order, a second export could give away the SenderID again."""

    def crash(*_):
        raise KeyboardInterrupt

    replace = os.replace

    def replace_once(source, target):
        replace(source, target)
        monkeypatch.setattr(os, "replace", crash)

    monkeypatch.setattr(os, "replace", replace_once)
    with pytest.raises(KeyboardInterrupt):
        group_file.export(lamps, tmp_path / "switch.gsa", "switch")
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lamps.group"]
    with pytest.raises(CommandError, match="repeat nonces"):
        group_file.export(lamps, tmp_path / "switch.gsa", "switch")


def test_a_full_disk_leaves_the_group_file_unchanged(lamps, tmp_path, monkeypatch):
    """No file is half-written."""
    before = lamps.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CommandError, match="No space left"):
        group_file.export(lamps, tmp_path / "switch.gsa", "switch")
    with pytest.raises(CommandError, match=f"^cannot write {lamps}: No space left"), group_file.edit(lamps) as group:
        group["epoch"] += 1
    assert lamps.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["lamps.group"]


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_any_failing_call_gives_one_error_and_never_exports_a_sender_twice(lamps, tmp_path, monkeypatch, call):
    """The n-th call of each kind fails, for each n. Either the GSA exists, or the sender can be exported, or it is wasted."""
    target = tmp_path / "switch.gsa"
    original = getattr(os, call)
    before = lamps.read_bytes()
    failing = 0
    while True:
        lamps.write_bytes(before)
        target.unlink(missing_ok=True)
        calls = []

        def fail(*arguments, calls=calls, failing=failing):
            calls.append(arguments)
            if len(calls) == failing + 1:
                raise OSError(5, "Input/output error")
            return original(*arguments)

        monkeypatch.setattr(os, call, fail)
        try:
            group_file.export(lamps, target, "switch")
        except CommandError as failure:
            assert "Input/output error" in failure.format_message()
        monkeypatch.undo()
        names = {path.name for path in tmp_path.iterdir()}
        assert names <= {"lamps.group", "switch.gsa"}
        noted = group_file.load(lamps)["senders"][0]["exported"]
        if target.exists():
            assert noted
            assert decode(target.read_bytes()).own_id == 1
        if len(calls) <= failing:
            break
        failing += 1
    assert target.exists()
    assert failing >= 2


def test_a_file_whose_name_is_no_unicode_can_be_used(run, monkeypatch):
    """Its name is printed with escapes; a group cannot have it."""
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # as with most locales
    name = os.fsdecode(b"\xff.group")
    assert "the name of a group is Unicode: choose another with --name" in refused(run("keyring", "new", name))
    done = run("keyring", "new", name, "--name", "lamps")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("\\udcff.group: group lamps at")
    assert run("keyring", "show", name).returncode == 0


def test_a_group_that_could_not_be_read_back_is_not_written(lamps, tmp_path):
    """Its values are checked before they are written."""
    before = lamps.read_bytes()
    with pytest.raises(ValueError), group_file.edit(lamps) as group:
        group["port"] = 0
    with pytest.raises(ValueError):
        group_file.create(tmp_path / "new.group", {**group_file.new("new"), "gid": "00"})
    assert lamps.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["lamps.group"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("new", "other.group"),
        ("new", "other.group", "--address", "239.1.2.3"),
        ("add-sender", "lamps.group", "panel"),
        ("export", "lamps.group", "x.gsa", "--sender", "switch"),
        ("export", "lamps.group", "x.gsa"),
        ("rekey", "lamps.group"),
    ],
)
def test_a_dry_run_prints_the_change_and_writes_nothing(run, lamps, tmp_path, arguments):
    """Every file is unchanged. The same command without --dry-run then does what was printed."""
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    dry = run("keyring", *arguments, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    label, _, announced = dry.stdout.strip().partition("  ")
    assert label == "would do"
    wet = run("keyring", *arguments)
    assert wet.returncode == 0, wet.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} != before
    pattern = re.escape(announced).replace(r"a\ random\ address", r"239\.255\.\d+\.\d+").replace(r"a\ random\ one", r"\d+")
    assert re.fullmatch(pattern, wet.stdout.splitlines()[0])


def test_every_writing_command_has_a_dry_run():
    """All except `show`."""
    from dicectl.cli.keyring import command

    without = {name for name, sub in command.commands.items() if "dry_run" not in {parameter.name for parameter in sub.params}}
    assert without == {"show"}


def test_the_help_shows_the_order_of_commands(run):
    done = run("keyring", "--help")
    assert done.returncode == 0
    assert "dicectl keyring export lamps.group lamp.gsa" in done.stdout
