# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Real MicroPython: RPI_PICO's firmware is built from Debian's packages, and its tools read the definition of every board.

Boards that cannot be built here are checked as far as possible: MicroPython's manifestfile.py lists what a board freezes, its
mpy-cross compiles that for the board's processor, cmake and the preprocessor read the board's definition, its website tool the
board.json.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.firmware import boards, debian, fold, profiles, recipe
from host_tests.unit.test_boards import BOARDS, each_board

# Of the third byte of a .mpy file, bits 2 to 5: the architecture of its native code (MicroPython's docs/reference/mpyfiles.rst).
ARCHITECTURES = {"none": 0, "armv6m": 4, "armv7m": 5, "xtensawin": 10, "rv32imc": 11}
EVALUATE = Path(__file__).with_name("manifest_files.py")
each_profile = pytest.mark.parametrize("profile", profiles.names())


@pytest.fixture(scope="session")
def micropython():
    """The folder of Debian's MicroPython, with mpy-cross."""
    missing = [name for name in ("apt-get", "dpkg-source", "arm-none-eabi-gcc", "cmake") if not shutil.which(name)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: on Debian, apt-get install {' '.join(recipe.PACKAGES)}")
    return debian.tree(recipe.quiet)


@pytest.fixture(scope="session")
def firmware(micropython):
    return recipe.firmware("RPI_PICO")


@pytest.fixture(scope="session")
def library(micropython, tmp_path_factory):
    """A double of micropython-lib, which Debian leaves out: an empty package for each that MicroPython's boards require."""
    folder = tmp_path_factory.mktemp("micropython-lib")
    for board in BOARDS:
        for manifest in (micropython / "ports" / board.port / "boards").glob("**/manifest.py"):
            for name in re.findall(r'^require\("([\w.-]+)"', manifest.read_text(), re.MULTILINE):
                package = folder / "micropython" / name
                package.mkdir(parents=True, exist_ok=True)
                (package / "manifest.py").write_text('metadata(version="1.0")\nmodule("required.py")\n')
                (package / "required.py").write_text(f"# {name}\n")
    return folder


def evaluate(micropython, text, board=None, library=None, mode="MODE_FREEZE", keep=None):
    """Return ([[target, path, opt], ...], version) that MicroPython's manifestfile.py makes of a manifest.

    In the folder `keep` the files are left by their number: those that were folded are gone when this returns. Without it, nothing
    is folded, which takes seconds for each board and profile and changes no name.
    """
    variables = {"MPY_DIR": str(micropython), "MPY_LIB_DIR": str(library) if library else None}
    if board:
        variables |= {"PORT_DIR": str(micropython / "ports" / board.port), "BOARD_DIR": str(board.folder)}
    argument = json.dumps([str(micropython / "tools"), variables, mode, text, str(keep or "")])
    done = subprocess.run([sys.executable, "-B", EVALUATE, argument], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files, version = done.stdout.splitlines()
    return json.loads(files), version


def payload(uf2):
    """Return {address: bytes} of a UF2 file, and the families that it names."""
    blocks, families = {}, set()
    for at in range(0, len(uf2), 512):
        magic0, magic1, _, address, size, number, count, family = struct.unpack_from("<8I", uf2, at)
        assert (magic0, magic1) == (0x0A324655, 0x9E5D5157)
        assert struct.unpack_from("<I", uf2, at + 508) == (0x0AB16F30,)
        assert (number, count) == (at // 512, len(uf2) // 512)
        blocks[address] = uf2[at + 32 : at + 32 + size]
        families.add(family)
    return blocks, families


def test_the_firmware_contains_dice(firmware):
    board = boards.find("RPI_PICO")
    blocks, families = payload((firmware / "firmware.uf2").read_bytes())
    assert families == {board.uf2_family}
    assert min(blocks) == board.flash_offset
    assert max(blocks) < board.flash_offset + board.flash_bytes
    flash = b"".join(blocks[address] for address in sorted(blocks))
    elf = (firmware / "firmware.elf").read_bytes()
    assert elf[:4] == b"\x7fELF"
    assert struct.unpack_from("<H", elf, 18) == (40,)  # ARM
    for name in profiles.files("full", esp32=False):
        for image in (flash, elf):
            assert b"\0%s\0" % name.encode() in image, name  # as the table of frozen modules has it
    assert b"crypto/host.py" not in flash
    assert b"v1.25" in flash


def test_a_finished_build_is_reused(firmware):
    before = (firmware / "firmware.uf2").stat().st_mtime_ns
    assert recipe.firmware("RPI_PICO") == firmware
    assert (firmware / "firmware.uf2").stat().st_mtime_ns == before


def test_the_facts_of_a_build_name_its_sources(firmware):
    facts = json.loads((firmware / "facts.json").read_text())
    assert facts["from"] == debian.versions()
    assert set(facts["from"]) == {"micropython", "mbedtls", "pico-sdk-source", "tinyusb-source"}
    assert facts["micropython"] == facts["from"]["micropython"].split("+")[0]
    assert set(facts["bytes"]) == {"firmware.uf2", "firmware.elf", "firmware.map"}


@each_board
@each_profile
def test_a_boards_manifest_freezes_its_profile(board, profile, micropython, library):
    """dice is the same with all of MicroPython's own modules, as in a checkout, and with only those that Debian has."""
    text = f'include("$(BOARD_DIR)/manifest.py", profile={profile!r}, bare=%s)'
    whole, _ = evaluate(micropython, text % False, board, library)
    bare, _ = evaluate(micropython, text % True, board)
    for files in (whole, bare):
        targets = [target for target, _, _ in files]
        assert [name for name in targets if name.startswith("dice")] == profiles.files(
            profile, esp32=None if board.port == "esp32" else False
        )
        assert "asyncio/core.py" in targets
        assert {"_boot.py", "rp2.py"} & set(targets)
        assert "manifest.py" not in targets
        assert {opt for target, _, opt in files if target.startswith("dice")} <= {3}
    required = {Path(path).parent.name for _, path, _ in whole if path.endswith("required.py")}
    assert "neopixel" in required
    assert ("aioble" in required) == (board.port == "rp2" and board.network)
    assert not [path for _, path, _ in bare if path.endswith("required.py")]


@each_board
def test_a_boards_manifest_by_default_freezes_everything(board, micropython, library):
    """All of dice, and all of the application but main.py: a frozen one would hide the one on the board."""
    files, _ = evaluate(micropython, str(board.folder / "manifest.py"), board, library)
    dice = [target for target, _, _ in files if target.startswith("dice")]
    assert dice == profiles.files("full", esp32=None if board.port == "esp32" else False)
    app = resources.APP
    frozen = [target for target, path, _ in files if Path(path).parent == app]
    assert frozen == sorted(path.name for path in app.glob("*.py") if path.name != "main.py")


@each_board
def test_the_application_can_be_left_out(board, micropython):
    """With its option. It is left out too if the profile lacks what it needs."""
    for options in ("app=False", "profile='group'", "profile='none'"):
        files, _ = evaluate(micropython, f'include("$(BOARD_DIR)/manifest.py", bare=True, {options})', board)
        assert not [path for _, path, _ in files if "firmware/app" in path]


def test_the_librarys_manifest_freezes_profiles_and_has_a_version(micropython):
    """For other projects' manifests: packages get a version, and no version is appended to frozen modules."""
    path = str(resources.LIB / "manifest.py")
    frozen, version = evaluate(micropython, path)
    assert version == "None"
    compiled, version = evaluate(micropython, path, mode="MODE_COMPILE")
    assert version == profiles.metadata()["version"]
    for files in (frozen, compiled):
        assert [target for target, _, _ in files] == profiles.files("full")
    unix, _ = evaluate(micropython, f'include("{path}", unix=True)')
    assert {target for target, _, _ in unix} - {target for target, _, _ in frozen} == {
        *(f"dice/group/{name}.py" for name in ("device_ids", "group_state", "gsa_encode", "manager", "presence", "progress")),
        *("dice/group/ration.py", "dice/group/rollback.py", "dice/aio/kdc.py", "dice/aio/key_delivery.py"),
        *("dice/_posix.py", "dice/transport/udp_network.py", "dice/transport/udp_system.py"),
    }


@pytest.fixture
def clone(tmp_path):
    """The part of this repository that freezing needs, in a folder that can be changed."""
    tables = (resources.LIB / "manifest.py", resources.LIB / "short_names.json", Path(fold.__file__))
    for path in (*tables, *(resources.LIB / "dice").rglob("*.py")):
        copy = tmp_path / "clone" / path.relative_to(resources.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    return tmp_path / "clone"


def freeze(micropython, folder, manifest):
    """Run MicroPython's makemanifest.py on a manifest, without dicectl; return (exit status, the lines but for "GEN")."""
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "elsewhere").mkdir(exist_ok=True)
    (folder / "elsewhere" / "manifest.py").write_text(manifest)
    (folder / "build" / "genhdr").mkdir(parents=True, exist_ok=True)
    (folder / "build" / "genhdr" / "qstrdefs.preprocessed.h").write_text("QCFG(BYTES_IN_LEN, 1)\nQCFG(BYTES_IN_HASH, 1)\n")
    command = [sys.executable, "-S", micropython / "tools" / "makemanifest.py", "-o", folder / "build" / "frozen.c"]
    command += [
        "-v",
        f"MPY_DIR={micropython}",
        "-v",
        f"PORT_DIR={micropython / 'ports' / 'rp2'}",
        "-v",
        "MPY_LIB_DIR=",
        "-b",
        folder / "build",
    ]
    command += ["--mpy-cross-flags=-march=armv6m", folder / "elsewhere" / "manifest.py"]
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert not list((folder / "tmp").iterdir()), "the folded copies are still there"
    return done.returncode, [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("GEN ")]


def test_any_manifest_freezes_folded_files_and_rebuilds_what_changed(micropython, clone, tmp_path):
    """Frozen files are folded. After a change, those that depend on it are frozen again, and no others."""
    manifest = f'include("{clone}/lib/manifest.py", profile="psk", native=True)\n'
    wanted = profiles.files("psk", native=True)
    status, lines = freeze(micropython, tmp_path, manifest)
    assert (status, lines) == (0, [f"MPY {name}" for name in wanted])
    frozen = {path.relative_to(tmp_path / "build" / "frozen_mpy") for path in tmp_path.glob("build/frozen_mpy/**/*.mpy")}
    assert {path.with_suffix(".py").as_posix() for path in frozen} == set(wanted)
    code = (tmp_path / "build" / "frozen.c").read_bytes()
    assert b"dice/group/member.py" in code
    assert b"GRACE_MS" not in code and b"reasons" not in code
    assert not set(re.findall(r"MP_QSTR_(\w+)", code.decode())) & set(fold.short_names(clone / "lib"))
    assert freeze(micropython, tmp_path, manifest) == (0, [])
    later = time.time_ns() + 10**9
    os.utime(clone / "lib" / "dice" / "reasons.py", ns=(later, later))
    status, lines = freeze(micropython, tmp_path, manifest)
    users = [name for name in wanted if "reasons import" in (clone / "lib" / name).read_text()]
    assert (status, lines) == (0, [f"MPY {name}" for name in users])
    assert 0 < len(users) < len(wanted)


def test_freezing_works_with_an_installed_dicectl(micropython, clone, tmp_path):
    """Then lib/ is in dicectl/data and fold.py in dicectl/firmware. Without fold.py the manifest says so."""
    installed = tmp_path / "dicectl"
    manifest = f'include("{installed}/data/lib/manifest.py", profile="group")\n'
    for folder in ("data", "firmware"):
        (installed / folder).mkdir(parents=True)
    (clone / "lib").rename(installed / "data" / "lib")
    shutil.copy(fold.__file__, installed / "firmware" / "fold.py")
    assert freeze(micropython, tmp_path, manifest)[0] == 0
    (installed / "firmware" / "fold.py").unlink()
    status, lines = freeze(micropython, tmp_path, manifest)
    assert status
    assert "no fold.py for dice's lib/" in lines[-1]


@each_board
def test_frozen_files_compile_for_the_board(board, micropython, tmp_path):
    files, _ = evaluate(micropython, 'include("$(BOARD_DIR)/manifest.py", bare=True)', board, keep=tmp_path)
    for number, (target, _, opt) in enumerate(files):
        path = tmp_path / str(number)
        output = tmp_path / "out.mpy"
        command = [
            micropython / "mpy-cross" / "build" / "mpy-cross",
            f"-march={board.mpy_arch}",
            f"-O{opt or 0}",
            "-o",
            output,
            path,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{target}: {done.stderr}"
        magic, version, flags = output.read_bytes()[:3]
        assert (magic, version) == (ord("M"), 6), target
        native = "@micropython." in path.read_text()
        assert flags >> 2 & 0xF in (ARCHITECTURES["none"], *([ARCHITECTURES[board.mpy_arch]] if native else [])), target


CMAKE = """
include(${MICROPY_BOARD_DIR}/mpconfigboard.cmake)
include(${MICROPY_BOARD_DIR}/mpconfigvariant%s.cmake %s)
foreach(name SDKCONFIG_DEFAULTS IDF_TARGET PICO_BOARD PICO_PLATFORM MICROPY_BOARD_PINS MICROPY_FROZEN_MANIFEST MICROPY_DEF_BOARD)
    message(STATUS "${name}=${${name}}")
endforeach()
"""


def cmake(board, micropython, folder, variant=""):
    """Return the variables that a board's definition sets, as cmake reads it in the port's folder."""
    (folder / "script.cmake").write_text(CMAKE % (f"_{variant}" if variant else "", "" if variant else "OPTIONAL"))
    command = ["cmake", f"-DMICROPY_BOARD_DIR={board.folder}", "-P", folder / "script.cmake"]
    done = subprocess.run(command, cwd=micropython / "ports" / board.port, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(line.removeprefix("-- ").split("=", 1) for line in done.stdout.splitlines())


DEBIAN = "1.25"  # boards that are newer are read in other sources only
each_board_of_debian = pytest.mark.parametrize(
    "board", [each for each in BOARDS if each.since <= DEBIAN], ids=lambda board: board.name
)


def test_boards_that_are_newer_than_debians_micropython_are_named(micropython):
    """Each other board is in it; one that it has may no longer be left out."""
    for board in BOARDS:
        assert (micropython / "ports" / board.port / "boards" / board.name).is_dir() == (board.since <= DEBIAN), board.name


@each_board_of_debian
def test_cmake_reads_each_boards_definition(board, micropython, tmp_path):
    said = cmake(board, micropython, tmp_path)
    port = micropython / "ports" / board.port
    assert said["MICROPY_FROZEN_MANIFEST"] == str(board.folder / "manifest.py")
    if board.port == "esp32":
        assert (said["IDF_TARGET"] or "esp32") == board.chip
        configuration = [(port / name).read_text() for name in said["SDKCONFIG_DEFAULTS"].split(";")]
        sizes = re.findall(r"^CONFIG_ESPTOOLPY_FLASHSIZE_(\d+)MB=y", "\n".join(configuration), re.MULTILINE)
        assert int(sizes[-1]) << 20 == board.flash_bytes
    else:
        assert (said["PICO_PLATFORM"] or "rp2040") == board.chip  # pico-sdk's default
        header = micropython / "lib" / "pico-sdk" / "src" / "boards" / "include" / "boards" / f"{said['PICO_BOARD']}.h"
        size = re.search(r"#define PICO_FLASH_SIZE_BYTES \((\d+) \* 1024 \* 1024\)", header.read_text())
        assert int(size[1]) << 20 == board.flash_bytes
        assert "LED," in Path(said["MICROPY_BOARD_PINS"]).read_text()


@pytest.mark.on_demand
@pytest.mark.parametrize("board", [each for each in BOARDS if each.from_debian], ids=lambda board: board.name)
def test_firmware_is_built_for_each_board_that_debians_packages_suffice_for(board, micropython):
    """All of it is where the boot loader looks, for the right family; RP2350 also needs an IMAGE_DEF (its data sheet, 5.9.5)."""
    folder = recipe.firmware(board.name, app=True)
    blocks = [struct.unpack("<8I", block[:32]) for block in uf2_blocks(folder / "firmware.uf2")]
    assert {(first, second, size, family) for first, second, _, _, size, _, _, family in blocks} == {
        (0x0A324655, 0x9E5D5157, 256, board.uf2_family)
    }
    assert [address for _, _, _, address, *_ in blocks] == [board.flash_offset + 256 * number for number in range(len(blocks))]
    image = b"".join(block[32:288] for block in uf2_blocks(folder / "firmware.uf2"))
    assert len(image) < board.flash_bytes // 4
    assert board.machine.encode() in image
    for name in (b"dice/dtls/client.py", b"dice/group/member.py", b"node.py"):
        assert name in image
    assert (image.find(struct.pack("<I", 0xFFFFDED3)) in range(4096)) == (board.chip == "rp2350")


def uf2_blocks(path):
    """Return the blocks of a UF2 file."""
    data = path.read_bytes()
    return [data[at : at + 512] for at in range(0, len(data), 512)]


def test_cmake_reads_the_variants(micropython, tmp_path):
    assert cmake(boards.find("RPI_PICO"), micropython, tmp_path, "TLS")["MICROPY_DEF_BOARD"] == "MICROPY_PY_SSL=1"
    said = cmake(boards.find("ESP32_GENERIC_S3"), micropython, tmp_path, "FLASH_4M")
    assert said["SDKCONFIG_DEFAULTS"].endswith("sdkconfig.flash_4m")


def test_uf2_families_are_those_of_microsofts_list(micropython):
    known = json.loads((micropython / "tools" / "uf2families.json").read_text())
    known = {int(family["id"], 0): family["short_name"] for family in known}
    assert [known[board.uf2_family] for board in BOARDS if board.chip == "rp2040"] == ["RP2040", "RP2040"]
    assert boards.find("RPI_PICO2_W").uf2_family == 0xE48BFF59  # RP2350 with ARM cores (its data sheet, 5.5.3): newer than the list


@each_board_of_debian
def test_the_preprocessor_reads_each_boards_header(board, micropython):
    port = micropython / "ports" / board.port
    command = ["gcc", "-E", "-dM", f"-I{board.folder}", f"-I{port}", "-x", "c", "-"]
    done = subprocess.run(command, input='#include "mpconfigboard.h"\n', capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r'^#define MICROPY_HW_(BOARD|MCU)_NAME "(.*)"', done.stdout, re.MULTILINE))
    assert f"{said['BOARD']} with {said.get('MCU', board.chip.upper())}" == board.machine


def test_the_website_tool_reads_every_board_json(micropython, tmp_path):
    """MicroPython's build-downloads.py, on a tree that has our boards instead of its own."""
    for board in BOARDS:
        folder = tmp_path / "ports" / board.port / "boards"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / board.name).symlink_to(board.folder)
        shutil.copy(resources.BOARDS / f"deploy_{board.port}.md", folder)
    output = tmp_path / "output"
    output.mkdir()
    # Follows "../deploy_x.md" through the link, so to our own; the copy is for a tool that does not.
    tool = micropython / "tools" / "autobuild" / "build-downloads.py"
    done = subprocess.run([sys.executable, tool, tmp_path, output], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    index = {board["id"]: board for board in json.loads((output / "index.json").read_text())}
    assert set(index) == {board.name for board in BOARDS}
    for board in BOARDS:
        assert (index[board.name]["port"], index[board.name]["mcu"]) == (board.port, board.chip)
        if board.flashed_by == "esptool":
            assert (
                f"write-flash {index[board.name]['deploy_options']['flash_offset']} " in (output / f"{board.name}.md").read_text()
            )
