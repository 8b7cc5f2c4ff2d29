# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice as one file: the file itself, its import, and a deploy of it that loses power at any moment.

The code for boards (on_device/board_files.py) runs in CPython here, on a folder; host_tests/emulated/test_deploy.py has a board.
"""

import ast
import functools
import hashlib
import os
import shutil
import subprocess

import pytest
from littlefs import LittleFS

from dicectl import resources
from dicectl.board import bundled, sync
from dicectl.firmware import bundle, mpy, profiles, unix_port

RP2040 = 4870
FLAVOUR = mpy.Flavour(RP2040)
GROUP = profiles.files("group", native=True, esp32=False)
MEMBER = "dice/group/member.py"
PROGRAM = b"import dice\n"


def made(files=GROUP):
    return bundle.make(files, FLAVOUR, mpy.cross_version())


@functools.lru_cache(None)
def as_files(files=tuple(GROUP)):
    """Return {path below dice/: bytes} of the same as a folder."""
    emitted = mpy.cross_version()
    return {
        name.removeprefix("dice/").removesuffix(".py") + ".mpy": mpy.compile_file(resources.LIB / name, name, FLAVOUR, emitted)
        for name in files
    }


# The file.


def test_a_member_takes_16_kb_of_flash_and_everything_64():
    """With blocks of 4 KB; an ESP32 has its own store too. A folder of files takes 72 and more than 200."""
    kilobytes = {profile: 4 * bundle.blocks(bundle.size(profile, "armv6m"), 4096) for profile in ("group", "psk", "full")}
    assert kilobytes["group"] <= 16 and kilobytes["psk"] <= 32 and kilobytes["full"] <= 64, kilobytes
    flavour, emitted = mpy.flavour_here("xtensawin"), mpy.cross_version()
    files = {profile: profiles.files(profile, native=True, esp32=True) for profile in kilobytes}
    kilobytes = {profile: 4 * bundle.blocks(len(bundle.make(files[profile], flavour, emitted)), 4096) for profile in files}
    assert kilobytes["group"] <= 16 and kilobytes["psk"] <= 32 and kilobytes["full"] <= 64, kilobytes


@pytest.mark.parametrize("block", [512, 4096])
def test_blocks_are_those_of_littlefs(block):
    sizes = [
        block + 1,
        3 * block - 12,
        3 * block - 11,
        7 * block + 3,
        15 * block - 101,
        15 * block - 100,
        15 * block - 99,
        16 * block,
    ]
    for size in sizes:
        disk = LittleFS(block_size=block, block_count=64, cache_size=128, read_size=32, prog_size=32)
        before = disk.used_block_count
        with disk.open("dice.mpy", "wb") as file:
            file.write(bytes(size))
        assert disk.used_block_count - before == bundle.blocks(size, block), size


def test_each_module_is_the_file_that_it_would_be_alone():
    parts = bundle.parts(GROUP, FLAVOUR, mpy.cross_version())
    alone = as_files()
    assert [part.name for part in parts] == [name for name in GROUP if name != "dice/group/__init__.py"] + [""]
    for part in parts[1:-1]:
        assert part.data == alone[part.name.removeprefix("dice/").removesuffix(".py") + ".mpy"]
    assert all(part.at == sum(len(before.data) for before in parts[:i]) for i, part in enumerate(parts))


# The import, in MicroPython's unix port.


@pytest.fixture
def unix(tmp_path):
    """Return run(code) that runs code in a folder with the bundle for the unix port, which is in sys.path."""
    flavour = mpy.flavour_here("x64")
    (tmp_path / "dice.mpy").write_bytes(
        bundle.make(profiles.files(unix=True, native=True, esp32=True), flavour, mpy.cross_version())
    )

    def run(code):
        path = {"MICROPYPATH": ":.frozen"}
        done = subprocess.run([unix_port.find(), "-c", code], cwd=tmp_path, env=path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split()

    run.folder = tmp_path
    return run


def test_all_modules_can_be_imported_and_none_is_unasked(unix):
    loaded = "print(*sorted(name for name in sys.modules if 'dice' in name))"
    assert unix(f"import sys, dice\n{loaded}") == ["dice"]
    assert unix(f"import sys, dice\ndice.PeerError\n{loaded}") == ["dice", "dice.errors", "dice.names"]
    names = [file[:-3].removesuffix("/__init__").replace("/", ".") for file in profiles.files(unix=True, native=True, esp32=True)]
    assert unix(f"import sys\nfor name in {names}: __import__(name)\n{loaded}") == sorted(names)


@pytest.mark.parametrize("name", ["dice.nothing", "dice.group.nothing", "dice.err", "dice.session", "dice.group.member.x"])
def test_what_is_not_there_is_an_import_error(unix, name):
    """`session` is a module of two packages, and `err` the begin of a name."""
    assert unix(f"try:\n    import {name}\nexcept ImportError:\n    print('ImportError')") == ["ImportError"]


def test_the_bundle_is_found_after_a_change_of_folder_and_imported_again(unix):
    first = "import dice, os, sys\nos.chdir('/')\nfrom dice import errors\nprint(dice.__file__, errors.__file__)\n"
    again = f"for name in list(sys.modules): del sys.modules[name]\nos.chdir({str(unix.folder)!r})\n"
    last = "import dice.wire\nprint(dice.wire.__file__)"
    place = f"/{str(unix.folder)[1:].replace('/', '.')}.dice.mpy./"
    assert unix(first + again + last) == ["dice.mpy", f"{place}errors.mpy", f"{place}wire.mpy"]


def test_the_bundle_is_found_on_a_file_system_that_is_not_the_root(unix):
    """Such as /flash on an STM32; MicroPython looks for no mounted folder below another."""
    mount = f"import os, sys, vfs\nvfs.mount(vfs.VfsPosix({str(unix.folder)!r}), '/flash')\n"
    for path, folder in (("", "/flash"), ("/flash", "/")):
        code = f"{mount}sys.path[:] = [{path!r}]\nos.chdir({folder!r})\nimport dice.errors\nprint(dice.errors.__file__)"
        assert unix(code) == ["/flash.dice.mpy./errors.mpy"]


def test_names_of_the_users_modules_keep_their_meaning(unix):
    """Only `import dice` leads into the bundle, and a dice that precedes it in sys.path hides all of it."""
    for path, text in {"errors.py": "MINE = 1", "group/__init__.py": "MINE = 2", "first/dice.py": "MINE = 3"}.items():
        (unix.folder / path).parent.mkdir(exist_ok=True)
        (unix.folder / path).write_text(text)
    assert unix("import dice.errors, errors, group\nprint(errors.MINE, group.MINE, dice.errors.PeerError)") == [
        "1",
        "2",
        "<class",
        "'PeerError'>",
    ]
    assert unix("import sys\nsys.path.insert(0, 'first')\nimport dice\nprint(dice.MINE)") == ["3"]


# A deploy.


class PowerCut(BaseException):
    """The board has no power any more."""


class Written:
    """A file that is written."""

    def __init__(self, file, change):
        self._file = file
        self._change = change
        self.close = file.close

    def write(self, data):
        self._change()
        self._file.write(data)


class Board:
    """A board whose files are in a folder here. It executes board_files.py, and loses power before the `cut`-th change of them."""

    port = "P"

    def __init__(self, folder, cut=None):
        self._root = str(folder)
        self._left = cut
        self._out = []
        self._opened = []
        self._globals = {}
        exec((resources.ON_DEVICE / "board_files.py").read_text(), self._globals)
        self._globals.update(os=self, open=self._open, print=lambda text: self._out.append(text))

    def _change(self):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                for file in self._opened:
                    file.close()
                raise PowerCut

    # The part of `os` that board_files.py uses.

    def ilistdir(self, path):
        return [(entry.name,) for entry in os.scandir(self._root + path)]

    def stat(self, path):
        return os.stat(self._root + path)

    def _open(self, path, mode):
        if "r" in mode:
            return open(self._root + path, mode)
        self._change()
        self._opened.append(open(self._root + path, mode, buffering=0))  # noqa: SIM115 - as on the board
        return Written(self._opened[-1], self._change)

    def __getattr__(self, name):
        def change(*paths):
            self._change()
            return getattr(os, name)(*(self._root + path for path in paths))

        return change

    # The part of a Device that sync.py uses.

    def load(self, script):
        pass

    def call(self, function, *arguments):
        known = {
            "identity": {
                "machine": "M",
                "platform": "rp2",
                "version": [1, 25, 0],
                "mpy": RP2040,
                "path": ["", ".frozen", "/lib"],
                "cwd": "/",
                "boot": "/",
            },
            "room": {"block": 4096, "flash_free": 1 << 20},
            "missing": [],
        }
        if function in known:
            return [known[function]]
        if function in ("installed", "c_module"):
            return []
        self._out.clear()
        self._globals[function](*arguments)
        return [ast.literal_eval(str(line)) for line in self._out]


def deploy(place, cut=None, profile="group", files=False, sources=None):
    """Deploy to the board; return the plan. Raises PowerCut."""
    device = Board(place, cut)
    plan = sync.plan(device, sources or {}, "", profile, False, files)
    sync.apply(device, plan, lambda *_: None)
    return plan


def content(place):
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def imported(place):
    """Return what a board would import as dice: the bytes of the bundle, the {name: bytes} of the folder, or None."""
    if (place / "dice").is_dir():
        return content(place / "dice")
    return (place / "dice.mpy").read_bytes() if (place / "dice.mpy").exists() else None


def put(place, files):
    for path, data in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)


def older(data):
    """Return a bundle of the same size in which a module differs."""
    at = next(part.at for part in bundle.parts(GROUP, FLAVOUR, mpy.cross_version()) if part.name == MEMBER)
    return data[: at + 50] + bytes((data[at + 50] ^ 1,)) + data[at + 51 :]


def folder(**more):
    """Return the files of a board with dice as a folder, and more in it."""
    return {"dice/" + name: data for name, data in {**as_files(), **more}.items()}


BEFORE = {
    "an empty board": dict,
    "a folder": folder,
    "a folder of another version": lambda: folder(**{"wire.mpy": b"old", "wire.py": b"old", "limits.py": b"old"}),
    "an older bundle": lambda: {"dice.mpy": older(made())},
    "a bundle of more": lambda: {"dice.mpy": made([*GROUP, "dice/wire.py"])},
    "remains of another deploy": lambda: {"dice.mpy": older(made()), "dice.mpy.new": b"x", "dice.new/wire.mpy": b"x"},
}


@pytest.mark.parametrize("before", BEFORE)
def test_a_deploy_without_power_leaves_the_old_or_the_new_version(tmp_path, before):
    """At every change of a file; the next deploy does the rest. The user's files stay."""
    files = {"main.py": PROGRAM, "lib/errors.py": b"mine", **BEFORE[before]()}
    put(tmp_path / "before", files)
    old, new, seen = imported(tmp_path / "before"), made(), set()
    for cut in range(200):
        board = tmp_path / "board"
        shutil.rmtree(board, ignore_errors=True)
        put(board, files)
        try:
            deploy(board, cut)
        except PowerCut:
            assert imported(board) in (old, new), cut
            seen.add(imported(board) == new)
            deploy(board)
        else:
            break
        assert content(board) == {"dice.mpy": new, "main.py": PROGRAM, "lib/errors.py": b"mine"}
    assert 3 < cut < 199
    assert False in seen
    plan = deploy(board)
    assert (plan.copies, plan.removals) == ({}, [])


def test_a_bundle_becomes_a_folder_on_request(tmp_path):
    put(tmp_path, {"dice.mpy": made()})
    for cut in (3, 40, None):
        try:
            deploy(tmp_path, cut, files=True)
        except PowerCut:
            assert imported(tmp_path) in (made(), as_files())
    assert content(tmp_path) == folder()
    assert deploy(tmp_path, files=True).removals == []


def test_only_modules_that_differ_are_sent(tmp_path):
    """A changed module costs its own bytes; the board writes all of the file, which the index and the hashes need."""
    put(tmp_path, {"dice.mpy": older(made())})
    plan = deploy(tmp_path)
    assert list(plan.copies) == ["/dice.mpy"]
    assert plan.sent_bytes == plan.as_dict()["sent_bytes"] == len(as_files()["group/member.mpy"])
    assert plan.flash_bytes == 12_288
    plan = deploy(tmp_path, profile="psk")
    assert plan.sent_bytes < len(plan.wanted["/dice.mpy"]) - len(made()) + 500
    assert content(tmp_path) == {"dice.mpy": made(profiles.files("psk", native=True, esp32=False))}
    assert deploy(tmp_path).sent_bytes < 300, "less than the index is new"


@pytest.mark.parametrize("kept", [700, 5000, -1])
def test_a_damaged_bundle_is_replaced(tmp_path, kept):
    """Such as one that mip did not write to its end."""
    put(tmp_path, {"dice.mpy": made()[:kept]})
    assert len(sync.differences(Board(tmp_path), "/dice.mpy", {"mpy": RP2040, "platform": "rp2"})) == len(GROUP) - 1
    plan = deploy(tmp_path)
    assert content(tmp_path) == {"dice.mpy": made()}
    assert plan.sent_bytes == len(made())


@pytest.mark.parametrize(
    "mine",
    [
        {"dice/mine.py": b"x", "dice/wire.mpy": b"x"},
        {"dice/settings.json": b"{}"},
        {"dice.py": b"import random"},
        {"dice.mpy": b"M\6\0\37 not a bundle"},
        {"dice.mpy": b"\0\2"},
        {"dice.mpy": b""},
    ],
)
def test_files_of_the_user_are_neither_lost_nor_hidden_anew(tmp_path, mine):
    """A folder dice precedes dice.py and dice.mpy, as it always did."""
    put(tmp_path, mine)
    plan = deploy(tmp_path)
    assert content(tmp_path) == {**mine, **folder()}
    assert any(f"because of /{next(iter(mine))}" in note for note in plan.notes)
    assert deploy(tmp_path).copies == {}


def test_a_module_of_dice_that_the_user_deploys_himself_makes_it_a_folder(tmp_path):
    source = tmp_path / "mine.py"
    source.write_text("A = 1\n")
    (tmp_path / "board").mkdir()
    plan = deploy(tmp_path / "board", sources={"/dice/mine.py": source})
    assert "dice/mine.mpy" in content(tmp_path / "board")
    assert "because of /dice/mine.mpy" in plan.notes[0]


def test_doctor_names_the_modules_of_a_bundle_that_differ_or_lack(tmp_path):
    facts = {"mpy": RP2040, "platform": "rp2"}
    for data, differing in (
        (made(), []),
        (made(profiles.files(native=True)), []),
        (older(made()), ["group/member.py"]),
        (made([name for name in GROUP if name != MEMBER]), ["group/member.py"]),
    ):
        put(tmp_path, {"dice.mpy": data})
        assert sync.differences(Board(tmp_path), "/dice.mpy", facts) == differing


def test_neighbours_are_one_step():
    parts = [bundle.Part(name, 0, name.encode()) for name in "abcdef"]
    digest = {name: hashlib.sha256(name.encode()).hexdigest() for name in "abcdef"}
    old = {digest["a"]: (10, 1, ""), digest["b"]: (11, 1, ""), digest["e"]: (30, 1, ""), digest["f"]: (40, 1, "")}
    assert bundled.steps(parts, old) == [(10, 2, None), (None, None, b"cd"), (30, 1, None), (40, 1, None)]
