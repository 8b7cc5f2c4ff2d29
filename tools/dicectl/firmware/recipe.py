# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Builds MicroPython firmware with dice frozen into it.

MicroPython's own make builds it, with a board folder of boards/ and a manifest that passes the profile on. The object files stay in
the cache, so that after a change of dice only dice is compiled. A build from Debian's packages has known inputs: a firmware that
was built from the same ones is not built again.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dicectl import resources
from dicectl.errors import USAGE, CommandError
from dicectl.firmware import bearssl, boards, comb, debian, fold, profiles
from dicectl.subprocess_log import Log, cache, file_lock, require_commands

_COMPILERS = {"make": "make", "cmake": "cmake", "gcc": "gcc", "arm-none-eabi-gcc": "gcc-arm-none-eabi"}
_LIBRARIES = {"nosys.specs": "libnewlib-arm-none-eabi", "libstdc++.a": "libstdc++-arm-none-eabi-newlib"}
PACKAGES = (*_COMPILERS.values(), *_LIBRARIES.values(), "dpkg-dev")  # everything that a build from Debian needs
RESULTS = {  # name here: name in MicroPython's build folder
    "rp2": {"firmware.uf2": "firmware.uf2", "firmware.elf": "firmware.elf", "firmware.map": "firmware.elf.map"},
    "esp32": {"firmware.bin": "firmware.bin", "firmware.elf": "micropython.elf", "firmware.map": "micropython.map"},
}
_NEEDED = {  # the files in lib/ by which a checkout with its submodules is recognized
    "rp2": ("pico-sdk/README.md", "tinyusb/src/tusb.h", "mbedtls/README.md", "micropython-lib/README.md"),
    "esp32": ("micropython-lib/README.md", "berkeley-db-1.xx/README"),
}
_C_MODULE = resources.FIRMWARE / "native" / "usermod"
# How the module `_dice` computes P-256 (firmware/native/usermod/p256.c), the default first. By GCC for Xtensa, the first two would
# not be constant time.
NATIVE = {"rp2": ("fast", "small", "mbedtls"), "esp32": ("mbedtls",)}
_KEPT = 16  # firmwares in the cache


def quiet(text, fraction=None):
    """Ignore the progress of a build: `text` names the step, `fraction` (0 to 1) is the part of it that is done."""


@dataclass(frozen=True)
class Recipe:
    """Inputs of a build. `micropython` is a checkout, or None for Debian's packages. `app` counts only with the profile "full".

    `native` is one of NATIVE, "none" for firmware without the module `_dice`, or None: by the profile. `variant`
    is one of the board's, such as OTA.
    """

    board: boards.BoardSpec
    profile: str
    with_tls: bool
    micropython: Path | None
    app: bool = False
    native: str | None = None
    variant: str | None = None

    @property
    def name(self):
        """The name of its folders: RPI_PICO, RPI_PICO-full (without the application), RPI_PICO-group, RPI_PICO-none-tls ..."""
        name = self.board.name + ("" if self._with_app else f"-{self.profile}")
        name += f"-{self.board_variant.lower()}" if self.board_variant else ""
        return name if self.c_module == self._usual_c_module else f"{name}-native-{self.native}"

    @property
    def _with_app(self):
        return self.app and self.profile == "full"

    @property
    def board_variant(self):
        """MicroPython's BOARD_VARIANT, or None."""
        return "TLS" if self.with_tls else self.variant

    def check(self):
        """Raise CommandError if the parts do not go together."""
        if self.profile not in profiles.names():
            raise CommandError(f"there is no profile {self.profile}; there are {', '.join(profiles.names())}", USAGE)
        if self.with_tls and self.variant:
            raise CommandError("--with-tls is a variant itself: leave out --variant", USAGE)
        if self.with_tls and "TLS" not in self.board.variants:
            raise CommandError(f"{self.board.name} has MicroPython's tls anyway: leave out --with-tls", USAGE)
        variants = self.board.variants
        if self.board_variant and self.board_variant not in variants:
            raise CommandError(f"{self.board.name} has no variant {self.variant}; it has {', '.join(variants) or 'none'}", USAGE)
        choices = (*NATIVE[self.board.port], "none")
        if self.native and self.native not in choices:
            raise CommandError(f"{self.board.name} has no --native {self.native}; it has {', '.join(choices)}", USAGE)
        if self.micropython:
            _check_checkout(self.micropython, self.board)
        elif not self.board.from_debian:
            raise CommandError(
                f"Debian's packages lack parts of {self.board.name}; build from a checkout: --micropython DIR", USAGE
            )

    def folder(self, versions):
        """Return the firmware's folder in the cache; its name depends on everything that the firmware is made from."""
        facts = (self.name, self.board.uf2_family, self.board.flash_offset, versions, str(self.micropython), self.c_module)
        facts += (bearssl.version(),) if self.c_module == "fast" else ()
        made_from = hashlib.sha256(repr((facts, Path(__file__).read_bytes(), Path(fold.__file__).read_bytes())).encode())
        names = ("boards/manifest.py", "boards/common.cmake", "firmware/manifest.py", "lib/manifest.py", "lib/short_names.json")
        inputs = [resources.ROOT / name for name in names]
        for top in (resources.ROOT / "lib" / "dice", resources.ROOT / "firmware" / "app"):
            inputs += sorted(top.rglob("*.py"))
        inputs += sorted(path for path in self.board.folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
        if self.c_module:
            inputs += sorted(path for path in (resources.ROOT / "firmware" / "native").rglob("*") if path.is_file())
            made_from.update(Path(comb.__file__).read_bytes())
        for path in inputs:
            made_from.update(repr((path.relative_to(resources.ROOT).as_posix(), path.read_bytes())).encode())
        return cache() / "firmware" / f"{self.name}-{made_from.hexdigest()[:16]}"

    def work(self, tree):
        """Return the folder of make's object files: one for each pair of a copy of dice and a MicroPython."""
        places = hashlib.sha256(repr((str(resources.ROOT), str(tree))).encode()).hexdigest()
        return cache() / "build" / f"{self.name}-{places[:8]}"

    def shared(self, tree):
        """Return the folder whose lock protects what all builds with a MicroPython share: its mpy-cross."""
        return cache() / "build" / f"mpy-cross-{hashlib.sha256(str(tree).encode()).hexdigest()[:8]}"

    @property
    def c_module(self):
        """How `_dice`, the module in C, computes P-256, or None if the firmware has no such module."""
        return self._usual_c_module if self.native is None else None if self.native == "none" else self.native

    @property
    def _usual_c_module(self):
        """The same without a choice: what needs public keys has P-256 in C."""
        return NATIVE[self.board.port][0] if self.profile == "public-keys" else None

    def manifest(self):
        """Return the text of a manifest that includes the board's with the options of this recipe."""
        options = f"profile={self.profile!r}, bare={self.micropython is None}, app={self._with_app}"
        options += ", c_module=True" if self.c_module else ""
        return f'include("$(BOARD_DIR)/manifest.py", {options})\n'

    def module(self, tree):
        """Return the text of a file for CMake that includes the module `_dice`."""
        settings = {"DICE_P256": self.c_module, "DICE_BEARSSL": bearssl.folder(), "DICE_COMB": self.work(tree)}
        lines = [f'set({name} "{value}")\n' for name, value in settings.items()]
        return "".join(lines) + f'include("{_C_MODULE / "micropython.cmake"}")\n'

    def commands(self, tree, jobs):
        """Return [(description of the step, argument vector)]."""
        jobs, work = f"-j{jobs or os.cpu_count()}", self.work(tree)
        argv = [
            "make",
            "-C",
            tree / "ports" / self.board.port,
            jobs,
            f"BOARD_DIR={self.board.folder}",
            f"BUILD={work / 'objects'}",
        ]
        argv += [
            f"FROZEN_MANIFEST={work / 'manifest.py'}",
            *([f"BOARD_VARIANT={self.board_variant}"] if self.board_variant else []),
        ]
        argv += [f"USER_C_MODULES={work / 'module.cmake'}"] if self.c_module else []
        return [
            ("building mpy-cross", ["make", "-C", str(tree / "mpy-cross"), jobs]),
            (f"building {self.name}", [*map(str, argv)]),
        ]


def firmware(
    board, profile="full", with_tls=False, micropython=None, jobs=None, progress=quiet, app=False, native=None, variant=None
):
    """Build a board's firmware unless it exists; return the folder with firmware.uf2 or .bin, firmware.elf and facts.json.

    `board` is a name of boards.toml, `profile` one of lib/manifest.py. `micropython` is the folder of a checkout, or None for
    Debian's packages. `with_tls` enables MicroPython's own tls on a board that does not have it. `app` freezes firmware/app too,
    with the profile "full". `native` chooses the module `_dice`, `variant` that of the board, see Recipe. Raises CommandError.
    """
    micropython = Path(micropython).absolute() if micropython else None
    recipe = Recipe(boards.with_firmware(board), profile, with_tls, micropython, app, native, variant)
    recipe.check()
    versions = None if micropython else debian.versions()
    if versions and (recipe.folder(versions) / "facts.json").exists():
        return recipe.folder(versions)
    _check_tools(recipe.board)
    if recipe.c_module == "fast":
        bearssl.source(progress)
    tree = recipe.micropython or debian.tree(progress)
    with file_lock(recipe.work(tree), progress):
        folder = recipe.folder(None if micropython else debian.versions())
        if micropython or not (folder / "facts.json").exists():  # another process may just have made it
            _make(recipe, tree, jobs, progress)
            _collect(recipe, tree, folder)
    return folder


def _check_checkout(folder, board):
    """Raise CommandError unless `folder` is a checkout of MicroPython with the submodules that the board's port needs."""
    if not (folder / "ports" / board.port / "Makefile").exists():
        raise CommandError(f"{folder} is not a checkout of MicroPython", USAGE)
    if not all((folder / "lib" / name).exists() for name in _NEEDED[board.port]):
        port = folder / "ports" / board.port
        raise CommandError(f"the checkout has no submodules: make -C {port} BOARD_DIR={board.folder} submodules")


def _check_tools(board):
    """Raise CommandError, which says what to install, if a compiler is missing."""
    if board.port == "esp32":
        if not shutil.which("idf.py"):
            raise CommandError("missing: idf.py; install the ESP-IDF that ports/esp32/README.md names, then source its export.sh")
        return
    require_commands(_COMPILERS)
    for name, package in _LIBRARIES.items():
        found = subprocess.run(["arm-none-eabi-gcc", f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        if found == name:  # the compiler returns the name without a folder if it has no such file
            raise CommandError(f"missing: {name} for ARM; install with: apt-get install --no-install-recommends {package}")


def _environment(recipe, tree):
    """Return the environment of MicroPython's make, without the influence of an outer make or an outer repository."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    if not recipe.micropython:
        changelog = tree / "debian" / "changelog"
        stamp = subprocess.run(["dpkg-parsechangelog", "-l", changelog, "-S", "Timestamp"], capture_output=True, text=True).stdout
        environment |= {
            "CMAKE_ARGS": "-DPICO_NO_PICOTOOL=1",
            "GIT_CEILING_DIRECTORIES": str(tree.parent),
            "SOURCE_DATE_EPOCH": stamp.strip() or "0",
        }
    return environment


def _make(recipe, tree, jobs, progress):
    """Run MicroPython's make."""
    work = recipe.work(tree)
    objects = work / "objects"
    (work / "manifest.py").write_text(recipe.manifest())
    if recipe.c_module:
        (work / "module.cmake").write_text(recipe.module(tree))
        (work / "comb.h").write_text(comb.table())
    shutil.rmtree(objects / "frozen_mpy", ignore_errors=True)  # make goes by time stamps, which say nothing about another profile
    (objects / "frozen_content.c").unlink(missing_ok=True)
    log = Log(work / "build.log")
    environment = _environment(recipe, tree)
    for what, command in recipe.commands(tree, jobs):
        progress(what)

        def show(line, what=what):
            percent = re.match(r"\[ *(\d+)%\]", line)
            if percent:
                progress(what, int(percent[1]) / 100)

        with file_lock(recipe.shared(tree), progress) if "mpy-cross" in what else contextlib.nullcontext():
            log.run(what, command, environment=environment, on_line=show)
    if recipe.board.port == "rp2" and not recipe.micropython:
        command = ["-f", hex(recipe.board.uf2_family), "-b", hex(recipe.board.flash_offset), "-c"]
        command += ["-o", objects / "firmware.uf2", objects / "firmware.bin"]
        log.run("making the UF2", [sys.executable, tree / "tools" / "uf2conv.py", *command])


def _collect(recipe, tree, folder):
    """Copy the results to `folder`, all at once, and delete the oldest firmwares in the cache."""
    work = recipe.work(tree)
    fresh = folder.with_suffix(f".{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, origin in RESULTS[recipe.board.port].items():
        if (work / "objects" / origin).exists():
            shutil.copyfile(work / "objects" / origin, fresh / name)
    shutil.copyfile(work / "build.log", fresh / "build.log")
    version = dict(re.findall(r"#define MICROPY_VERSION_(MAJOR|MINOR|MICRO) (\d+)", (tree / "py" / "mpconfig.h").read_text()))
    facts = {
        "board": recipe.board.name,
        "profile": recipe.profile,
        "with_tls": recipe.with_tls,
        "variant": recipe.board_variant,
        "native": recipe.c_module or "none",
        "dice": profiles.metadata()["version"],
        "micropython": "{MAJOR}.{MINOR}.{MICRO}".format(**version),
        "from": str(recipe.micropython) if recipe.micropython else debian.versions(),
        "bytes": {path.name: path.stat().st_size for path in sorted(fresh.iterdir()) if path.suffix != ".log"},
    }
    (fresh / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    for old in sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
