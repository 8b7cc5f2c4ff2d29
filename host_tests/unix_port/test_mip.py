# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""MicroPython's own mip installs dice from package.json and from an index of `dicectl mip-index`, and what it installed runs."""

import contextlib
import functools
import hashlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading

import pytest

from dice import __version__
from dice.crypto import curve
from dicectl import resources
from dicectl.firmware import bundle, mip_index, mpy, native, prebuilt, profiles, unix_port

UNICAST = re.search(r"^unicast +([0-9a-f]+)$", (resources.ROOT / "docs" / "protocol.md").read_text(), re.MULTILINE)[1]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Print nothing."""


@contextlib.contextmanager
def served(folder):
    """Yield the URL of a folder on an HTTP server on loopback, because mip reads no local paths."""
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def clone():
    with served(resources.ROOT) as url:
        yield url


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Return the URL of an index that `dicectl mip-index` has made."""
    folder = tmp_path_factory.mktemp("public")
    argv = [sys.executable, "-m", "dicectl", "mip-index", folder / "dice", "--architecture", "x64", "--json"]
    done = json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout)
    assert (set(done["packages"]), len(done["written"]), done["dry_run"]) == ({"", "x64"}, done["files"], False)
    with served(folder) as url:
        yield f"{url}/dice"


def run(code, *arguments, path=".frozen"):
    command = [unix_port.find(), "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env={"MICROPYPATH": str(path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mip_installs_a_working_library(clone, tmp_path):
    run(f"import mip; mip.install('{clone}/package.json', target='{tmp_path}')")
    installed = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert installed == set(profiles.files("full", unix=True))
    here = sorted(
        installed - {"dice/crypto/native.py", "dice/crypto/ccm_ctr.py", "dice/group/native.py"}
    )  # for firmware that has more than this one
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in here]
    code = "\n".join(f"import {name}" for name in modules) + "\nimport dice.crypto\nprint(dice.__file__, dice.crypto.name())"
    assert run(code, path=f"{tmp_path}:.frozen") == f"{tmp_path}/dice/__init__.py device (AES in software)\n"


@pytest.mark.parametrize("profile", ["group", "psk", "public-keys"])
def test_a_profile_has_a_package_of_sources(clone, tmp_path, profile):
    run(f"import mip; mip.install('{clone}/lib/mip/{profile}.json', target='{tmp_path}')")
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} == set(profiles.files(profile))


def test_keyed_sensor_has_what_it_needs_from_a_clone(clone, tmp_path):
    """Its key pair and its credentials, with P-256 in Python. (No board needs dice._posix.)"""
    run(f"import mip; mip.install('{clone}/lib/mip/public-keys.json', target='{tmp_path}')")
    shutil.copy(resources.LIB / "mip" / "dice" / "_posix.py", tmp_path / "dice")
    code = f"import os; os.chdir('{tmp_path}'); import keyed_sensor as it; key = it.own_key(); public = it.content('own.pub')\n"
    code += "print(type(it.credentials(key, {'server': public.decode()})).__name__, public.decode(), it.dice.Trust.__name__)"
    kind, public, trust = run(code, path=f"{tmp_path}:{resources.EXAMPLES}:.frozen").split()
    assert (kind, trust) == ("RawPublicKey", "Trust")
    assert bytes.fromhex(public) == curve.public((tmp_path / "own.key").read_bytes())


SEAL = """
from binascii import hexlify
from dice import record
from dice.crypto import crypt
from dice.suites import SUITES
key, salt = bytes(range(16)), bytes((0xa0, 0xa1, 0xa2, 0xa3))
print(hexlify(record.seal(SUITES[0xC0A8].cipher, key, salt, 23, 1, 5, b"123456")).decode(), type(crypt).__name__)
"""


@pytest.mark.parametrize("package", ["dice", "dice-psk", "dice-group"])
def test_an_index_has_a_package_of_one_file_for_each_profile(index, tmp_path, package):
    """A second installation finds by the hash that the file is there."""
    install = f"import mip; mip.install('{package}', index='{index}/x64', target='{tmp_path}')"
    assert "Exists" not in run(install)
    assert [path.name for path in tmp_path.rglob("*")] == ["dice.mpy"]
    assert "Exists" in run(install)
    assert run(SEAL, path=f"{tmp_path}:.frozen").split() == [UNICAST, "function"]


@pytest.mark.parametrize(("package", "variant"), [("dice-native", "fast"), ("dice-native-small", "small")])
def test_public_keys_bring_native_code(index, tmp_path, package, variant):
    """dice-public-keys depends on dice-native; dice-native-small takes its place."""
    run(f"import mip; mip.install('dice-public-keys', index='{index}/x64', target='{tmp_path}')")
    run(f"import mip; mip.install('{package}', index='{index}/x64', target='{tmp_path}')")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["_dice.mpy", "dice.mpy"]
    assert (tmp_path / "_dice.mpy").read_bytes() == native.build("x64", variant).read_bytes()
    code = "from dice import crypto\nfrom dice.crypto import curve\nimport _dice\nprint(curve.name(), crypto.crypt is _dice.crypt)"
    assert run(code, path=f"{tmp_path}:.frozen").split() == ["native", "True"]


def test_an_architecture_without_native_code_is_named(tmp_path):
    files, about = mip_index.collect(("xtensa",))
    assert about["without_native"] == {
        "xtensa": f"there is no native code for xtensa; there is for {', '.join(native.ARCHITECTURES)}"
    }
    package = json.loads(files["xtensa/package/6/dice-public-keys/latest.json"])
    assert package["deps"] == [] and not any("native" in path for path in files)


def test_the_index_has_all_that_firmware_says_it_is():
    """Nothing that dice runs on has firmware that says one of the others."""
    assert set(mpy.architectures()) - set(mip_index.ARCHITECTURES) == {"x86", "armv6", "rv64imc"}
    named = re.search(r"^The packages are .*?`dicectl doctor`", (resources.ROOT / "docs" / "boards.md").read_text(), re.M | re.S)[0]
    assert [name for name in mip_index.ARCHITECTURES if f"`{name}`" not in named] == ["armv7m", "xtensa"]


@pytest.mark.parametrize("architecture", prebuilt.THUMB)
def test_each_arm_board_finds_native_code_that_it_loads(architecture, monkeypatch, tmp_path):
    """It loads code from armv6m to its own: MPY_FEATURE_ARCH_TEST of MicroPython's py/persistentcode.h."""

    def build(chosen, variant, progress=None):
        assert mpy.architectures().index("armv6m") <= mpy.architectures().index(chosen) <= mpy.architectures().index(architecture)
        (tmp_path / native.NAME).write_text(f"for {chosen}")
        return tmp_path / native.NAME

    monkeypatch.setattr(native, "build", build)
    files, about = mip_index.collect((architecture,))
    ((name, digest),) = json.loads(files[f"{architecture}/package/6/dice-native/latest.json"])["hashes"]
    assert name == native.NAME and files[f"{architecture}/file/{digest[:2]}/{digest}"].startswith(b"for armv")
    assert json.loads(files[f"{architecture}/package/6/dice-public-keys/latest.json"])["deps"] == [["dice-native", __version__]]
    assert about["without_native"] == {} and about["packages"][architecture]["dice-group"]["blocks"] == 3


def test_a_version_can_be_asked_for(index, tmp_path):
    run(f"import mip; mip.install('dice-group', version='{__version__}', index='{index}/x64', target='{tmp_path}')")
    assert run("import dice; print(dice.__version__)", path=f"{tmp_path}:.frozen") == f"{__version__}\n"
    assert "not found" in run(f"import mip; mip.install('dice-group', version='9', index='{index}/x64', target='{tmp_path}')")


def test_the_index_without_an_architecture_is_for_all(index, tmp_path):
    """MicroPython that runs native code finds the module of machine code, but in Python. (No board needs dice._posix.)"""
    run(f"import mip; mip.install('dice-group', index='{index}', target='{tmp_path}')")
    board = "import sys\nclass Posix: Locked, create, sync = object, open, print\nsys.modules['dice._posix'] = Posix\n"
    code = f"{board}{SEAL}\nfrom dice.crypto import ccm_viper, ccm\nprint(ccm_viper.__file__)"
    assert run(code, path=f"{tmp_path}:.frozen").split() == [
        UNICAST,
        "function",
        f"/{str(tmp_path)[1:].replace('/', '.')}.dice.mpy./crypto/ccm_viper.mpy",
    ]


def test_the_index_has_sources_too(index, tmp_path):
    run(f"import mip; mip.install('dice-group', index='{index}', target='{tmp_path}', mpy=False)")
    installed = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.py")}
    assert installed == {name: mpy.source_for_mip(name) for name in profiles.files("group")}


def test_an_index_is_written_once_and_keeps_other_architectures_and_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(mip_index, "PACKAGES", {"dice-group": "group"})
    for architecture in ("armv6m", "xtensawin"):
        files, about = mip_index.collect((architecture,))
        files = mip_index.with_overview(tmp_path, files, about)
        changed = mip_index.changed(tmp_path, files)
        mip_index.write(tmp_path, files, changed)
        assert f"{architecture}/package/6/dice-group/latest.json" in changed
        assert mip_index.changed(tmp_path, files) == []
    assert set(json.loads((tmp_path / "index.json").read_text())["packages"]) == {"", "armv6m", "xtensawin"}
    monkeypatch.setattr(mip_index, "__version__", "9.0")
    files, about = mip_index.collect(("armv6m",))
    mip_index.write(tmp_path, files, mip_index.changed(tmp_path, files))
    places = tmp_path / "armv6m" / "package" / "6" / "dice-group"
    versions = {path.stem: json.loads(path.read_text()) for path in places.iterdir()}
    assert {name: about["version"] for name, about in versions.items()} == {"latest": "9.0", "9.0": "9.0", __version__: __version__}
    assert about["packages"]["armv6m"]["dice-group"]["bytes"] == bundle.size("group", "armv6m"), "without what only an ESP32 needs"
    for (name, digest), *more in (about["hashes"] for about in versions.values()):
        assert (name, more) == ("dice.mpy", [])
        assert hashlib.sha256((tmp_path / "armv6m" / "file" / digest[:2] / digest).read_bytes()).hexdigest().startswith(digest)
