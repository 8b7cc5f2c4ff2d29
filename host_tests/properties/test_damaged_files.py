# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files of users and devices that are damaged in every way: a command says so in one line, with the right status.

`dicectl.__main__` promises that of every failure. Each kind of file with JSON is changed: its values, its shape and its bytes.
"""

import contextlib
import copy
import io
import json
from random import Random
from unittest import mock

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from dicectl import ending
from dicectl.__main__ import cli, main
from dicectl.board import needs, ram_modules
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.firmware import mip_index, unix_node
from dicectl.manager import authority, group_file
from dicectl.measure import figures
from dicectl.member import host_member, node_file
from host_tests.seeds import search

SEEDS = 60
_CLI = cli.main
ODD = (
    *(None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**30, 70_000, "", "x", "\0", "\ud800", "é" * 100, "00", "zz"),
    *([], {}, [[]], {"a": 1}, {"identity": 4, "key": 5}, "239.1.2.3", "1.2.3.4", "ff02::1", "::ffff:239.1.2.3"),
)
TEXTS = (b"", b"[]", b"5", b"null", b'"x"', b"{", b"{}", b"\xff\xfe", b"\0", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000)
MANAGER = {"host": "127.0.0.1", "port": 5684}
NEXT = {"identity": "desk:1", "key": "11" * 16}
NODE = {"name": "desk", "identity": "desk", "key": "00" * 16, "groups": ["lamps"], "manager": MANAGER, "next": NEXT}
NODE |= {"managers": [MANAGER], "before": [{"host": "::1", "port": 5684}]}
SERIAL = {"serial": {"id": 0}, "hops": 2}
OVERVIEW = {"version": "1", "mpy": 6, "packages": {"dice": {"armv6m": 1}}}
FIGURES = {"profile": "group", "mpy_total": {"group": 20_000}, "heap": {"group": 1}}


def changed(good, random):
    """Return the bytes of a file whose good contents are these: with one or two values changed, or what is no such file."""
    if random.random() < 0.2:
        return random.choice(TEXTS)
    found = copy.deepcopy(good)
    for _ in range(random.randint(1, 2)):
        place = found
        while place:
            key = random.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if isinstance(place[key], (dict, list)) and place[key] and random.random() < 0.6:
                place = place[key]
                continue
            if isinstance(place, dict) and random.random() < 0.2:
                del place[key]
            else:
                place[key] = random.choice(ODD)
            break
    data = json.dumps(found).encode()
    if random.random() < 0.1:
        at = random.randrange(len(data))
        data = data[:at] + random.choice((b"", bytes((random.randrange(256),)) + data[at + 1 :]))
    return data


def command(*arguments):
    """Return a function that runs dicectl in this process, with an output that takes Unicode and nothing else."""

    def run():
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
            _CLI([str(argument) for argument in arguments], standalone_mode=False)

    return run


def outcome(path, action):
    """Return whether a file was "read" or "refused", or "failed" for another reason, in a command that does `action()`."""

    def run(**_):
        action()

    with (
        mock.patch.object(ending, "install"),
        mock.patch.object(cli, "main", run),
        contextlib.redirect_stderr(io.StringIO()) as stderr,
        pytest.raises(SystemExit) as end,
    ):
        main()
    said = stderr.getvalue()
    if not end.value.code:
        assert said == ""
        return "read"
    assert said.startswith("dicectl: ") and said[-1] == "\n" and said[:-1].isprintable(), said
    if "or is damaged" not in said:
        assert end.value.code in (FAILED, USAGE)
        return "failed"
    assert end.value.code == USAGE and str(path) in said, said
    return "refused"


class Files:
    """The files of one test, each with a good copy of its contents and what reads it."""

    def __init__(self, folder):
        group = group_file.new("lamps")
        group_file.add_sender(group, "switch")
        group_file.add_listener(group, "lamp")
        self.group = (folder / "lamps.group", group, self._keyring)
        self.node = (folder / "desk" / "node.json", NODE, self._member)
        self.options = (folder / "app.json", SERIAL, self._options)
        self.figures = (folder / "figures.json", FIGURES, lambda path: [lambda: figures.read(path)])
        self.overview = (folder / "index.json", OVERVIEW, self._overview)
        (folder / "desk").mkdir(mode=0o700)

    def _keyring(self, path):
        target = path.parent / "out.gsa"
        target.unlink(missing_ok=True)
        yield command("keyring", "show", path)
        yield command("keyring", "export", path, target, "--sender", "switch", "--dry-run")
        yield command("keyring", "add-sender", path, "panel", "--dry-run")
        yield command("keyring", "rekey", path, "--dry-run")

    def _member(self, path):
        yield command("group", "send", "lamps", "on", "--as", path.parent)
        yield lambda: node_file.FolderTarget(path.parent).check("desk")

    def _options(self, path):
        needs._is_without_line({"app.json": path})
        yield lambda: unix_node.configure(path.parent, hops=3)
        yield lambda: unix_node.configure(path.parent, hops=3)

    def _overview(self, path):
        yield lambda: mip_index.with_overview(path.parent, {}, OVERVIEW)


@pytest.fixture
def files(tmp_path, monkeypatch):
    def lock(_member):
        raise CommandError("the folder is in use")

    monkeypatch.setattr(host_member.HostMember, "lock", lock)  # before anything is sent
    return Files(tmp_path)


@pytest.mark.parametrize("kind", ["group", "node", "options", "figures", "overview"])
def test_a_damaged_file_costs_one_line(files, kind):
    path, good, actions = getattr(files, kind)

    def run(seed):
        done = {}
        random = Random(seed)
        path.unlink(missing_ok=True)
        path.write_bytes(changed(good, random) if seed else json.dumps(good).encode())
        path.chmod(0o600)
        for action in actions(path):
            found = outcome(path, action)
            done[found] = done.get(found, 0) + 1
            assert seed or found != "refused", "the good one"
        return done

    done = search(run, SEEDS)
    assert kind == "overview" or done["refused"] > SEEDS / 4, "most changes are noticed"


def test_a_damaged_log_of_certificates_costs_one_line(tmp_path):
    authority.new(tmp_path / "CA", "House")
    log = tmp_path / "CA" / authority.LOG
    authority.Authority(tmp_path / "CA").sign(ec.generate_private_key(ec.SECP256R1()).public_key(), "x.example", ["server"])
    entry = json.loads(log.read_bytes())

    def run(seed):
        lines = [json.dumps(line).encode() for line in (entry, {"revoked": [entry["serial"]], "at": 2})]
        lines[seed % 2] = changed(json.loads(lines[seed % 2]), Random(seed))
        log.write_bytes(b"".join(line + b"\n" for line in lines))
        return {outcome(log, command("ca", "list", tmp_path / "CA")): 1}

    assert search(run, SEEDS)["refused"] > SEEDS / 2


def test_garbled_output_of_a_board_is_that_of_another_program():
    def run(seed):
        text = changed([{"free": 1}, {"free": 2}], Random(seed)).decode("latin-1")
        values = ram_modules.parsed(text + '\n{"free": 3}')
        assert values[-1] == {"free": 3} and all(isinstance(value, (dict, list)) for value in values)
        return {"ignored": len(values) == 1}

    assert search(run, SEEDS)["ignored"]
