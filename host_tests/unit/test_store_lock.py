# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One program at a time uses a folder of counters; a link in it is not followed. On CPython: boards have one program."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

import dice
from dice.errors import StoreError
from dice.group.gsa import DERIVE_SENDER, K08, Gsa, decode
from dice.group.gsa_encode import encode
from dice.group.member import Member
from dice.reasons import E_STORE_SHARED
from dice.store import FileStore
from dice.suites import PSK_AES_128_CCM_8
from dicectl import system
from dicectl.errors import FAILED, CommandError
from dicectl.member import host_member, node_file
from dicectl.member.host_member import HostMember, ResidentAppeared
from dicectl.member.node_file import FILE

OPEN = """
import sys
from dice.store import FileStore
store = FileStore(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""
FORK = """
import os, sys
from dice.store import FileStore
store = FileStore(sys.argv[1])
process = os.fork()
if not process:
    try:
        FileStore(sys.argv[1])
    except Exception as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(process, 0)
FileStore(sys.argv[1])
print("open", flush=True)
"""
SLOW = """
import os, sys
from dice.errors import StoreError
from dice.group.gsa import decode
from dice.group.member import Member
from dice.store import FileStore

class SlowStore(FileStore):
    def put(self, name, value):
        print("writing", flush=True)
        sys.stdin.readline()
        super().put(name, value)

try:
    gsa = decode(open(sys.argv[1], "rb").read())
    gsa.fresh = False
    sender = Member(gsa, SlowStore(os.path.dirname(sys.argv[1])), 0)
    sender.send(b"%d" % os.getpid(), 0)
    print("sent", sender.transmit()[6:11].hex())
except StoreError as error:
    print(error)
"""


def python(code, *arguments):
    """Start another program."""
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def other(tmp_path):
    """Yield another program that has the folder open."""
    with python(OPEN, tmp_path) as process:
        assert process.stdout.readline() == "open\n", process.stderr.read()
        yield process
        process.kill()


def refused(folder):
    """Return whether another program is refused."""
    with python(OPEN, folder) as process:
        _, complaint = process.communicate("")
    assert process.returncode == 0 or f"E{E_STORE_SHARED}" in complaint, complaint
    return process.returncode != 0


def test_a_second_program_is_refused_until_the_first_has_ended(tmp_path, other):
    for folder in (tmp_path, f"{tmp_path}/", os.path.relpath(tmp_path)):
        with pytest.raises(StoreError, match=f"E{E_STORE_SHARED}"):
            FileStore(str(folder))
    assert not list(tmp_path.iterdir()), "the lock is visible"
    other.communicate("")
    FileStore(str(tmp_path)).put("a", 1)


def test_a_program_that_was_killed_does_not_lock_the_folder(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    FileStore(str(tmp_path)).put("a", 1)


def test_a_program_may_open_a_folder_any_number_of_times_and_releases_it_with_the_last_store(tmp_path):
    """Tests do so to simulate reboots; what counts twice in one program is found by Counters.reserve()."""
    (tmp_path / "link").symlink_to(tmp_path)
    one, two = FileStore(str(tmp_path)), FileStore(str(tmp_path / "link"))
    del one
    assert refused(tmp_path)
    del two
    assert not refused(tmp_path)


def test_a_forked_process_is_another_program(tmp_path):
    with python(FORK, tmp_path) as process:
        output, complaint = process.communicate("")
    assert output == f"E{E_STORE_SHARED}\nopen\n", complaint


def test_other_folders_and_one_that_is_missing_are_not_locked(tmp_path, other):
    (tmp_path / "inside").mkdir()
    FileStore(str(tmp_path / "inside")).put("a", 1)
    assert FileStore(str(tmp_path / "missing")).get("a") is None


def test_programs_that_start_at_once_use_no_number_twice(tmp_path, recorded_processes):
    """Without the lock, each reads the counter before another one has written it."""
    (tmp_path / "desk").mkdir()
    path = gsa_file(tmp_path / "desk", 1)
    Member(decode((tmp_path / "desk" / "lamps.gsa").read_bytes()), FileStore(str(tmp_path / "desk")), 0)
    started = [python(SLOW, path) for _ in range(3)]
    first = [process.stdout.readline() for process in started]
    said = [line + process.communicate("\n")[0] for line, process in zip(first, started)]
    assert sorted(said) == ["E34\n", "E34\n", "writing\nsent 0000000000\n"]
    assert len(recorded_processes.read_text().splitlines()) == 1


class Transport:
    """A transport that receives nothing."""

    def __init__(self):
        self.socket, self._far = os.pipe()

    def receive(self):
        return None

    def close(self):
        os.close(self.socket)
        os.close(self._far)


def gsa_file(folder, own_id=None):
    """Write the GSA of a member, by default a listener; return its path."""
    fields = {"gid": b"grp1", "address": b"\xef\1\2\3", "port": 1, "suite": PSK_AES_128_CCM_8, "layout": K08, "budget": 99}
    fields |= {"derive": DERIVE_SENDER, "epoch": 1, "key": bytearray(16), "own_id": own_id, "own_next": 0, "lifetime_s": 0}
    (folder / "lamps.gsa").write_bytes(encode(Gsa(senders=[(1, 0)], fresh=True, **fields)))
    return str(folder / "lamps.gsa")


def test_a_group_holds_its_folder_until_it_is_closed(tmp_path):
    async def main():
        group = await dice.join(gsa_file(tmp_path), transport=Transport())
        assert refused(tmp_path)
        group.close()
        assert not refused(tmp_path)
        return group

    asyncio.run(main())


def test_join_is_refused_and_leaves_nothing_behind(tmp_path, other):
    path = gsa_file(tmp_path)
    before = (tmp_path / "lamps.gsa").read_bytes()

    async def main():
        with pytest.raises(StoreError, match=f"E{E_STORE_SHARED}"):
            await dice.join(path, transport=Transport())

    asyncio.run(main())
    assert (tmp_path / "lamps.gsa").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["lamps.gsa"]


def node_folder(folder):
    """Make a folder that dicectl group --as takes."""
    (folder / FILE).write_text('{"manager": {"host": "127.0.0.1", "port": 1}, "identity": "desk", "key": "00"}')
    (folder / FILE).chmod(0o600)
    return folder


def test_a_command_names_the_program_that_uses_its_folder(tmp_path, other, monkeypatch):
    monkeypatch.setattr(host_member, "_STORE_TRIES", 2)
    message = rf"^E{E_STORE_SHARED}: .* is in use by process {other.pid} \(python.* -c .*\): end it, or wait for it"
    member, reports = HostMember(node_folder(tmp_path), ["lamps"]), []
    member.report = reports.append
    with pytest.raises(CommandError, match=message) as caught:
        asyncio.run(member.lock())
    assert caught.value.exit_code == FAILED and "\n" not in caught.value.message
    (said,) = reports  # it was silent for 10 s
    assert re.fullmatch(rf"waiting for process {other.pid} \(python.*\), which uses {tmp_path}", said, re.DOTALL)


def _naps(monkeypatch, at_the_third):
    """Return a list of the times that are slept from now on; call `at_the_third()` then."""
    naps = []

    async def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            at_the_third()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return naps


def test_a_command_waits_for_one_that_ends_soon(tmp_path, other, monkeypatch):
    naps = _naps(monkeypatch, lambda: other.communicate(""))

    async def main():
        member = HostMember(node_folder(tmp_path), ["lamps"])
        await member.lock()
        assert len(naps) == 3 and refused(tmp_path)
        await member.leave()

    asyncio.run(main())
    assert not refused(tmp_path)


def test_a_command_waits_longer_for_many_short_ones(tmp_path, other, monkeypatch):
    """As long as the holder changes, others were first."""
    monkeypatch.setattr(host_member, "_STORE_TRIES", 2)
    holders = iter(range(100))
    monkeypatch.setattr(system, "holder", lambda folder: next(holders))
    naps = []

    async def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 20:
            other.communicate("")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(HostMember(node_folder(tmp_path), ["lamps"]).lock())
    assert len(naps) == 20


def test_a_command_that_waits_uses_a_resident_member_that_appears(tmp_path, other, monkeypatch):
    """A socket that a killed one has left is none."""
    monkeypatch.setattr(host_member, "_STORE_TRIES", 20)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "member.socket"))
    naps = _naps(monkeypatch, left.listen)
    with left, pytest.raises(ResidentAppeared):
        asyncio.run(HostMember(node_folder(tmp_path), ["lamps"]).lock())
    assert len(naps) == 3


def test_a_folder_in_use_is_neither_wiped_nor_overwritten(tmp_path, other):
    """Nor is the manager asked: the program that counts there would go on."""
    with pytest.raises(CommandError, match=rf"is in use by process {other.pid}"), node_file.open_target(str(tmp_path), None):
        raise AssertionError("it was opened")
    other.communicate("")
    (node_folder(tmp_path) / "member.socket").touch()
    with node_file.open_target(str(tmp_path), None) as target:
        assert refused(tmp_path)
        target.erase()
    assert not refused(tmp_path) and not list(tmp_path.iterdir())


def test_a_lock_of_another_file_system_is_not_taken_for_that_of_a_folder(tmp_path, monkeypatch):
    """Inode numbers are those of a file system."""
    about = os.stat(tmp_path)
    here = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    lines = [f"{n}: FLOCK ADVISORY WRITE {n} {place} 0 EOF" for n, place in ((1, f"99:99:{about.st_ino}"), (2, here))]
    monkeypatch.setattr(system.Path, "read_text", lambda self: "\n".join(lines))
    monkeypatch.setattr(system, "_described", lambda process: f"process {process}")
    assert system.holder(tmp_path) == "process 2"
    lines.pop()
    assert system.holder(tmp_path) == "process 1", "a file system whose device numbers differ"


def test_who_holds_a_folder_may_be_unknown(tmp_path):
    assert system.holder(tmp_path) == system.holder(tmp_path / "missing") == "another program"


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path):
    """Nor is its mode kept: the file that is written belongs to us alone."""
    folder, victim = tmp_path / "counters", tmp_path / "victim"
    folder.mkdir()
    for target in (victim, tmp_path / "missing"):
        victim.write_bytes(b"mine")
        (folder / "a.tmp").symlink_to(target)
        FileStore(str(folder)).put("a", 5)
        assert victim.read_bytes() == b"mine" and not (tmp_path / "missing").exists()
        assert not (folder / "a").is_symlink() and (folder / "a").stat().st_mode & 0o777 == 0o600
        (folder / "a").chmod(0o666)
    (folder / "a.tmp").write_bytes(b"of a cut write")
    (folder / "a.tmp").chmod(0o666)
    FileStore(str(folder)).put("a", 6)
    assert (folder / "a").stat().st_mode & 0o777 == 0o600 and FileStore(str(folder)).get("a") == 6
