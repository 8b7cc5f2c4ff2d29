# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl deploy` and `doctor`, and `mpremote mip`, on an emulated RP2040 with real MicroPython, through a pseudo-terminal.

One board gets dice once (the emulator takes half a minute for what a board does in a second); every test leaves it as it was.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dice import __version__
from dicectl import resources
from dicectl.board.raw_repl import Bare, Device
from dicectl.emulator.board import EmulatedBoard, check
from dicectl.errors import CommandError
from dicectl.firmware import bundle, mpy, native, profiles, recipe
from host_tests.patience import until
from host_tests.unix_port.test_mip import served
from tools import import_graph

ROOT = Path(__file__).resolve().parents[2]
EMPTY_BYTES = 1_433_600  # free in the file system of a Pico: 352 blocks, of which the root takes two
FREE = "import os\nstat = os.statvfs('/')\nprint(stat[0] * stat[3])"
ARMV6M = mpy.Flavour(6 | 3 << 8 | 4 << 10)
UNICAST = re.search(r"^unicast +([0-9a-f]+)$", (ROOT / "docs" / "protocol.md").read_text(), re.MULTILINE)[1]
SEAL = """
from binascii import hexlify
from dice import record
from dice.suites import SUITES
key, salt = bytes(range(16)), bytes((0xa0, 0xa1, 0xa2, 0xa3))
print(hexlify(record.seal(SUITES[0xC0A8].cipher, key, salt, 23, 1, 5, b"123456")).decode())
print(record.__file__)
"""
DAMAGE = """
at = %d
with open("/dice.mpy", "r+b") as file:
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes((byte ^ 4,)))
import os
os.mkdir("/dice")
os.mkdir("/dice/crypto")
os.mkdir("/dice.new")
for name in ("/dice/record.py", "/dice/crypto/host.py", "/dice/limits.mpy", "/dice.mpy.new", "/dice.new/x.mpy"):
    with open(name, "w") as file:
        file.write("raise SystemExit")
"""


def uf2(profile):
    """Return the UF2 of RPI_PICO with a profile of dice frozen; skips if it cannot be built."""
    try:
        check()
        return recipe.firmware("RPI_PICO", profile=profile) / "firmware.uf2"
    except CommandError as failure:
        pytest.skip(failure.format_message())


def dicectl(board, command, *arguments, status=0):
    """Run a command on a board and assert its exit status; return its --json output, or stderr if it fails."""
    argv = [sys.executable, "-m", "dicectl", command, "--port", board.port, "--json", *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == status, done
    return json.loads(done.stdout) if status == 0 else done.stderr


def run(board, code):
    """Run a script on a board and return its lines."""
    with Device(board.port) as device:
        return device.run(code).splitlines()


def library():
    """Return {path on the board: bytes} of a board with all of dice."""
    return {bundle.FILE: bundle.make(profiles.files(native=True, esp32=False), ARMV6M, mpy.cross_version())}


def folder(profile):
    """Return the same of a board with a profile of dice as a folder."""
    names = profiles.files(profile, native=True, esp32=False)
    return {name[:-3] + ".mpy": mpy.compile_here(resources.LIB / name, name, "armv6m") for name in names}


@pytest.fixture(scope="module")
def bare():
    """Firmware without dice."""
    return uf2("none")


@pytest.fixture(scope="module")
def deployed(bare):
    """Return (board, output of deploy) of a board with dice."""
    with EmulatedBoard(bare, pty=True) as board:
        planned = dicectl(board, "deploy", "--dry-run")
        assert board.files() == {}, "a dry run wrote something"
        done = dicectl(board, "deploy")
        assert planned == {**done, "dry_run": True, "flash_free_bytes": planned["flash_free_bytes"]}
        yield board, done


def test_deploy_copies_all_of_dice_to_an_empty_board(deployed):
    """As one file, which takes the blocks that deploy says."""
    board, done = deployed
    wanted = library()
    assert board.files() == wanted
    assert done["copied"] == {f"/{name}": len(data) for name, data in wanted.items()}
    assert done["sent_bytes"] == len(wanted[bundle.FILE])
    assert done["mpy"] == str(ARMV6M) == "6.3 armv6m"
    assert int(run(board, FREE)[0]) == done["flash_free_bytes"] == EMPTY_BYTES - done["flash_bytes"]
    assert done["flash_bytes"] <= 64 << 10


def test_deployed_dice_seals_a_record(deployed):
    """The first vector of docs/protocol.md, sealed on the board."""
    board, _ = deployed
    assert run(board, SEAL) == [UNICAST, "/dice.mpy./record.mpy"]


def test_only_modules_that_differ_are_sent(deployed):
    """A flipped bit, a folder dice (which is imported first) with modules that no board needs, remains of another deploy."""
    board, _ = deployed
    part = next(
        part
        for part in bundle.parts(profiles.files(native=True, esp32=False), ARMV6M, mpy.cross_version())
        if part.name == "dice/wire.py"
    )
    run(board, DAMAGE % (part.at + 100))
    done = dicectl(board, "deploy")
    assert (list(done["copied"]), done["sent_bytes"]) == (["/dice.mpy"], len(part.data))
    assert {"/dice", "/dice.mpy.new", "/dice.new"} == set(done["removed"])
    assert board.files() == library()
    done = dicectl(board, "deploy")
    assert (done["copied"], done["removed"], done["unchanged"]) == ({}, [], len(library()))


def test_doctor_describes_the_board_and_its_dice(deployed):
    board, _ = deployed
    found = dicectl(board, "doctor")["board"]
    assert (found["board"], found["platform"], found["mpy"]) == ("RPI_PICO", "rp2", "6.3 armv6m")
    assert found["backend"] == "device (AES in software)"
    assert found["algorithms"] == {"AES-CCM": "ccm_viper", "P-256": None}, "the profile has no public keys"
    assert found["missing"] == ["network"]
    assert found["dice"] == [{"where": "/dice.mpy", "version": __version__, "error": None, "differs": []}]
    assert found["to_do"] == []
    assert 150_000 < found["heap_free"] < found["heap"] < 264_000
    assert 1_000_000 < found["flash_free"] < found["flash"] < 2 << 20


def test_doctor_says_what_computes(bare):
    """With the module _dice and without, as the line for people and as JSON."""
    try:
        module = native.build("armv6m", "fast").read_bytes()
    except CommandError as failure:
        pytest.skip(failure.format_message())
    names = profiles.files("public-keys", native=True, esp32=False, c_module=True)
    files = {bundle.FILE: bundle.make(names, ARMV6M, mpy.cross_version()), native.NAME: module}
    with EmulatedBoard(bare, files, pty=True) as board:
        argv = [sys.executable, "-m", "dicectl", "doctor", "--port", board.port]
        said = subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()
        assert "computed by       AES-CCM: _dice, in C; P-256: _dice, in C" in said
        run(board, f"import os\nos.remove('/{native.NAME}')")
        found = dicectl(board, "doctor")["board"]
    assert found["algorithms"] == {"AES-CCM": "ccm_viper", "P-256": "p256"}


def test_a_program_is_deployed_and_survives_a_power_cut(deployed, tmp_path):
    """main.py is copied as source, modules are compiled, data is not changed. After a power failure the old file is still there."""
    board, _ = deployed
    (tmp_path / "lamp.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("A = 1\n")
    (tmp_path / "lamp.bin").write_bytes(bytes(range(256)) * 9)
    arguments = ["--profile", "none", f"{tmp_path}/lamp.py=main.py", tmp_path / "helper.py", tmp_path / "lamp.bin"]
    assert sorted(dicectl(board, "deploy", *arguments)["copied"]) == ["/helper.mpy", "/lamp.bin", "/main.py"]
    files = board.files()
    assert files["main.py"] == b"import helper\n"
    assert files["lamp.bin"] == bytes(range(256)) * 9
    (tmp_path / "helper.py").write_text("A = 2\n")
    (tmp_path / "lamp.py").write_text("import helper\n" + "# and more\n" * 2000)
    cut_the_power_when(board, "main.py.new", [sys.executable, "-m", "dicectl", "deploy", "--port", board.port, *arguments])
    assert {name: data for name, data in board.files().items() if not name.endswith(".new")} == files
    board.power_on()
    (tmp_path / "lamp.py").write_text("import helper\n")
    done = dicectl(board, "deploy", *arguments)
    assert (list(done["copied"]), done["unchanged"]) == (["/helper.mpy"], 2)
    assert "/main.py.new" in done["removed"]
    code = "import helper, os\nprint(helper.A)\nfor name in ('/main.py', '/helper.mpy', '/lamp.bin'): os.remove(name)"
    assert run(board, code) == ["2"]
    assert board.files() == library()


def test_a_program_that_needs_sockets_is_refused_by_a_board_without_them(deployed):
    """The lamp needs a network; the same lamp on a bus fits, and a Pico needs no pins.json."""
    board, _ = deployed
    before = board.files()
    for arguments in (["lamp.py=main.py"], ["lamp.py=main.py", "--dry-run"]):
        said = dicectl(board, "deploy", "--profile", "none", f"{resources.EXAMPLES}/{arguments[0]}", *arguments[1:], status=1)
        assert "/main.py cannot run on this board" in said and "`socket`" in said and "bus.py" in said
    assert board.files() == before
    planned = dicectl(board, "deploy", "--profile", "none", "--dry-run", f"{resources.EXAMPLES}/bus.py=main.py")
    assert list(planned["copied"]) == ["/main.py"]
    planned = dicectl(board, "deploy", "--profile", "none", "--dry-run", "--no-check", f"{resources.EXAMPLES}/lamp.py=main.py")
    assert list(planned["copied"]) == ["/main.py"]


def cut_the_power_when(board, name, argv):
    """Run a command until the board has a file with this name, then cut the board's power and end the command."""
    process = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: name in board.files() or process.poll() is not None, name)
    assert process.poll() is None
    board.power_off()
    process.kill()
    process.communicate()


def test_a_folder_becomes_one_file_and_survives_a_power_cut(bare):
    """The power fails while the file is written, and when the folder has been renamed: the board imports the old, then the new."""
    with EmulatedBoard(bare, folder("group"), pty=True) as board:
        argv = [sys.executable, "-m", "dicectl", "deploy", "--profile", "group", "--port", board.port]
        cut_the_power_when(board, "dice.mpy.new", argv)
        board.power_on()
        assert run(board, SEAL) == [UNICAST, "dice/record.mpy"]
        done = dicectl(board, "deploy", "--profile", "group")
        assert (list(done["copied"]), set(done["removed"])) == (["/dice.mpy"], {"/dice", "/dice.mpy.new"})
        assert list(board.files()) == ["dice.mpy"]
        assert done["flash_bytes"] <= 16 << 10
        assert run(board, SEAL) == [UNICAST, "/dice.mpy./record.mpy"]


def test_deploy_leaves_frozen_dice_alone(tmp_path):
    """`deploy` reports it and copies the program alone; `doctor` reports it too."""
    (tmp_path / "main.py").write_text("import dice\n")
    with EmulatedBoard(uf2("full"), pty=True) as board:
        done = dicectl(board, "deploy", tmp_path / "main.py")
        assert "frozen into the firmware" in done["dice"]
        assert list(done["copied"]) == ["/main.py"]
        assert list(board.files()) == ["main.py"]
        assert "/dice.mpy" in dicectl(board, "deploy", "--force", "--dry-run")["copied"]
        found = dicectl(board, "doctor")["board"]
    assert found["dice"] == [{"where": "frozen", "version": __version__, "error": None}]
    assert (found["backend"], found["to_do"]) == ("device (AES in software)", [])


def needed_by(name):
    """Return the names of a module and of all modules that it imports on a board."""
    library = import_graph.library()
    names = [name]
    for module in names:
        names += sorted(library.own(module) - {*names, "dice._cpython", "dice.aio._cpython", "dice.crypto.host", "dice._posix"})
    return set(names)


def test_mip_installs_a_module_and_its_imports_from_a_clone(bare, tmp_path):
    """Only what dice.wire needs of package.json, without comments: the emulator takes a second for each KB."""
    needed = {name.replace(".", "/") + ".py" for name in needed_by("dice.wire")} | {"dice/__init__.py"}
    package = json.loads((ROOT / "package.json").read_text())
    package["urls"] = [[target, source] for target, source in package["urls"] if target in needed]
    (tmp_path / "package.json").write_text(json.dumps(package))
    installed = {}
    for target, source in package["urls"]:
        code = ast.unparse(Bare().visit(ast.parse((ROOT / source).read_text())))
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_text(code)
        installed[f"lib/{target}"] = code.encode()
    with EmulatedBoard(bare, pty=True) as board:
        argv = [sys.executable, "-m", "mpremote", "connect", board.port, "mip", "install", str(tmp_path / "package.json")]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, done
        assert board.files() == installed
        code = "from dice import __version__, wire\nprint(__version__, wire.Reader(b'\\1\\2').uint(2), wire.__file__)"
        assert run(board, code) == [f"{__version__} 258 /lib/dice/wire.py"]


def test_mip_installs_a_group_member_from_an_index(bare, tmp_path):
    """From an index that a web server offers: one file of machine code for this board, in 16 KB."""
    argv = [sys.executable, "-m", "dicectl", "mip-index", tmp_path, "--architecture", "armv6m"]
    assert subprocess.run(argv, capture_output=True).returncode == 0
    with served(tmp_path) as url, EmulatedBoard(bare, {"lib/mine.py": b"A = 1"}, pty=True) as board:
        before = int(run(board, FREE)[0])
        argv = [sys.executable, "-m", "mpremote", "connect", board.port, "mip", "install", "--index", f"{url}/armv6m", "dice-group"]
        for said in ("Installing: /lib/dice.mpy", "Exists: /lib/dice.mpy"):
            done = subprocess.run(argv, capture_output=True, text=True)
            assert (done.returncode, said in done.stdout) == (0, True), done
        assert set(board.files()) == {"lib/dice.mpy", "lib/mine.py"}
        assert run(board, SEAL + "from dice.crypto import name\nprint(name())") == [
            *(UNICAST, "/lib.dice.mpy./record.mpy", "device (AES in software)"),
        ]
        found = dicectl(board, "doctor")["board"]
    assert found["dice"] == [{"where": "/lib/dice.mpy", "version": __version__, "error": None, "differs": []}]
    assert before - found["flash_free"] <= 16 << 10


@pytest.mark.on_demand
def test_mip_installs_the_whole_library_from_a_clone(bare, tmp_path):
    """The whole of package.json: some minutes in the emulator."""
    with EmulatedBoard(bare, pty=True) as board:
        argv = [sys.executable, "-m", "mpremote", "connect", board.port, "mip", "install", str(ROOT / "package.json")]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == 0, done
        listed = json.loads((ROOT / "package.json").read_text())["urls"]
        assert board.files() == {f"lib/{target}": (ROOT / source).read_bytes() for target, source in listed}
        code = "from dice import __version__, wire\nprint(__version__, wire.Reader(b'\\1\\2').uint(2), wire.__file__)"
        assert run(board, code) == [f"{__version__} 258 /lib/dice/wire.py"]
