# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice without a clone: a wheel and an sdist, each installed into a fresh environment and used in an empty folder."""

import contextlib
import email
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from dice import __version__, codes
from dicectl import resources, subprocess_log
from dicectl.errors import CommandError
from dicectl.firmware import native, prebuilt, profiles
from host_tests.emulated.conftest import firmware  # noqa: F401 - a fixture here too

pytestmark = pytest.mark.xdist_group("install")  # all tests share the environments

ROOT = resources.clone("this test")
LEFT_OUT = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "prebuilt")
CARRIED = "armv6m"  # the architecture whose native modules the wheels here have
EACH_HELP = """
import click
from dicectl.__main__ import cli

def walk(command, path):
    with command.make_context(path[-1], ["--help"], resilient_parsing=True) as context:
        assert command.get_help(context), path
    count = 1
    for name in command.list_commands(None) if isinstance(command, click.Group) else ():
        count += walk(command.get_command(None, name), [*path, name])
    return count

print(walk(cli, ["dicectl"]))
"""
FIRMWARE = """
from dicectl.firmware import boards, recipe
print(recipe.Recipe(boards.find("RPI_PICO"), "full", False, None, True).folder({"micropython": "1"}).name)
"""
TYPES = "import dice, pathlib; assert (pathlib.Path(dice.__file__).parent / 'py.typed').exists(); print(dice.__file__)"


def run(*argv, status=0, **options):
    """Run a command and assert its exit status; return its output, or stderr if it was expected to fail."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, **options)
    assert done.returncode == status, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stderr if status else done.stdout


def _carry(clone):
    """Add the native modules of one architecture, as `make native` adds all, if they can be compiled here."""
    with contextlib.suppress(CommandError):
        made = {variant: native.build(CARRIED, variant) for variant in native.VARIANTS}
        folder = clone / "tools" / "dicectl" / "prebuilt"
        folder.mkdir()
        for variant, path in made.items():
            shutil.copyfile(path, folder / prebuilt.file_name(CARRIED, variant))
        (folder / prebuilt.SOURCES).write_text(prebuilt.sources_hash() + "\n")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return (sdist, wheel made from it, wheel of a clone), from a clone with remains of earlier builds and caches."""
    folder = tmp_path_factory.mktemp("built")
    clone = folder / "clone"
    shutil.copytree(ROOT, clone, ignore=LEFT_OUT)
    _carry(clone)
    for name in ("build/lib/dice/left.py", "lib/dice/__pycache__/left.pyc", "boards/__pycache__/left.pyc", "boards/RPI_PICO/.left"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).touch()
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", clone, cwd=folder)  # and a wheel made from it
    here = ("--no-deps", "--no-build-isolation", "--wheel-dir", folder / "direct")
    run(sys.executable, "-m", "pip", "wheel", *here, clone, cwd=folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    (direct,) = (folder / "direct").glob("*.whl")
    return sdist, wheel, direct


def test_wheels_of_the_clone_and_of_the_sdist_are_equal(built):
    _, wheel, direct = built
    assert wheel.name == direct.name == f"dice_dtls-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(direct) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        for name in one.namelist():
            if not name.endswith("RECORD"):
                assert one.read(name) == other.read(name), name


def places(name):
    """Yield the places in the wheel at which a file of the repository is found."""
    top, _, inner = name.partition("/")
    is_data = inner.startswith(("dicectl/on_device/", "dicectl/monitoring/", "dicectl/prebuilt/")) or name.endswith(".pyx")
    if top in ("lib", "tools") and not is_data and "/" in inner:
        yield inner
    if top in ("boards", "docs", "firmware") or is_data or (top == "lib" and name.endswith((".py", ".json"))):
        yield f"dicectl/data/{name}"


def test_the_wheel_contains_what_it_needs_and_no_more(built):
    """It contains each source of dice twice: as a package for this computer, and as data for boards."""
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        license = wheel.read(f"dice_dtls-{__version__}.dist-info/licenses/LICENSE")
        for name in profiles.files("full"):
            assert wheel.read(name) == wheel.read(f"dicectl/data/lib/{name}") == (ROOT / "lib" / name).read_bytes()
    assert license == (ROOT / "LICENSE").read_bytes()
    tracked = (
        "lib/dice/**/*",
        "tools/dicectl/**/*",
        "boards/**/*",
        "firmware/**/*",
        "lib/manifest.py",
        "lib/short_names.json",
        "docs/footprint.json",
        "docs/measured/*.json",
    )
    paths = {path for pattern in tracked for path in ROOT.glob(pattern) if path.is_file() and "__pycache__" not in path.parts}
    paths = {path for path in paths if path.parent.name != "prebuilt"}
    wanted = {place for path in paths for place in places(path.relative_to(ROOT).as_posix())}
    carried = {name for name in names if "/prebuilt/" in name}
    assert names == wanted | carried
    assert {Path(name).name for name in carried} in (set(), {f"{CARRIED}-{variant}.mpy" for variant in native.VARIANTS})


def test_the_sdist_contains_no_tests_and_no_caches(built):
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "setup.py",
        "lib/manifest.py",
        "lib/short_names.json",
        "boards/boards.toml",
    } <= names
    for name in names:
        assert not name.startswith(("host_tests", "build", "lib/mip")), name
        assert "__pycache__" not in name and "left" not in name


def test_the_metadata_is_complete_for_pypi(built):
    with zipfile.ZipFile(built[1]) as wheel:
        text = wheel.read(f"dice_dtls-{__version__}.dist-info/METADATA")
    said = Metadata.from_email(text, validate=True)
    assert (said.name, str(said.version), said.license_expression) == ("dice-dtls", __version__, "MIT")
    assert str(said.requires_python) == ">=3.10"
    assert said.license_files == ["LICENSE"]
    assert said.provides_extra == ["emulator", "postgresql"]
    assert said.description_content_type == "text/markdown"
    assert email.message_from_bytes(text).get_payload().strip().startswith("# dice")


class InstalledPackage:
    """A fresh environment with one of the files installed, and an empty folder for its use."""

    def __init__(self, folder, what):
        self._home = folder / "home"
        self.empty = folder / "empty"
        for path in (self._home, self.empty):
            path.mkdir()
        self.folder = folder / "environment"
        venv.create(self.folder)
        self.bin = self.folder / "bin"
        self._bytecode = folder / "bytecode"  # of what is used, instead of everything that pip would compile
        into = ("--python", self.bin / "python", "install", "--no-compile")
        run(sys.executable, "-m", "pip", "--quiet", *into, what, cwd=folder)
        (self.site,) = self.folder.glob("lib/python*/site-packages")
        self._protect(0)
        self.before = self.listing()

    def _protect(self, mode):
        """Remove or restore write permission for everybody but root."""
        for path in [self.site, *self.site.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~stat.S_IWUSR | mode)

    def close(self):
        self._protect(stat.S_IWUSR)

    def listing(self):
        """Return {path: (size, modification time)} of all installed files."""
        return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in self.site.rglob("*") if path.is_file()}

    def environment(self, compilers=True):
        """Return an environment without any clone, which uses the cache of this computer; or nothing of it, and no compilers."""
        said = {"HOME": str(self._home), "PYTHONPYCACHEPREFIX": str(self._bytecode)}
        if not compilers:
            return {**said, "PATH": str(self.bin), "DICE_CACHE": str(self._home / "cache")}
        inherited = ("LANG", "DICE_FIRMWARE", "http_proxy", "https_proxy")
        said.update({name: os.environ[name] for name in inherited if name in os.environ})
        path = f"{self.bin}:{os.environ.get('PATH', os.defpath)}"
        return {**said, "PATH": path, "DICE_CACHE": str(subprocess_log.cache())}

    def python(self, code):
        return run(self.bin / "python", "-c", code, cwd=self.empty, env=self.environment())

    def __call__(self, *arguments, status=0, compilers=True):
        said = run(self.bin / "dicectl", *arguments, status=status, cwd=self.empty, env=self.environment(compilers))
        return json.loads(said) if "--json" in arguments and not status else said

    @contextlib.contextmanager
    def background(self, *arguments):
        """Run a command in the background; yields its first line."""
        argv = [str(word) for word in (self.bin / "dicectl", *arguments)]
        environment = self.environment()
        with subprocess.Popen(argv, cwd=self.empty, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process.stdout.readline()
            finally:
                process.terminate()
                process.communicate()


@pytest.fixture(scope="module")
def of_wheel(built, tmp_path_factory):
    installed = InstalledPackage(tmp_path_factory.mktemp("wheel"), f"{built[1]}[emulator]")
    yield installed
    installed.close()


@pytest.fixture(scope="module")
def of_sdist(built, tmp_path_factory):
    """Without the extra."""
    installed = InstalledPackage(tmp_path_factory.mktemp("sdist"), built[0])
    yield installed
    installed.close()


@pytest.mark.parametrize("which", ["of_wheel", "of_sdist"])
def test_the_library_and_the_help_of_every_command_work(which, request):
    installed = request.getfixturevalue(which)
    assert Path(installed.python(TYPES).strip()).is_relative_to(installed.site)
    assert installed("--version").split()[-1] == __version__
    assert int(installed.python(EACH_HELP)) > 30


@pytest.mark.parametrize("which", ["of_wheel", "of_sdist"])
def test_firmware_is_made_from_the_same_files(which, request):
    """As in a clone: so neither builds again what the other has in the cache."""
    assert request.getfixturevalue(which).python(FIRMWARE) == run(sys.executable, "-c", FIRMWARE)


@pytest.mark.parametrize("which", ["of_wheel", "of_sdist"])
def test_commands_that_need_no_board_work(which, request):
    installed = request.getfixturevalue(which)
    installed("keyring", "new", "house.group")
    installed("keyring", "add-sender", "house.group", "switch")
    installed("keyring", "export", "house.group", "switch.gsa", "--sender", "switch")
    assert {"house.group", "switch.gsa"} <= {path.name for path in installed.empty.iterdir()}
    steps = installed("build", "RPI_PICO", "--from-debian", "--dry-run", "--json", "--output", "out")["would"]
    assert steps[-1] == "copy the results to out"
    board = installed.python("from dicectl.firmware import boards; print(boards.find('RPI_PICO').folder)").strip()
    assert Path(board).is_relative_to(installed.site) and (Path(board) / "manifest.py").exists()
    figures = installed("footprint", "--static", "--json")
    assert figures["mpy"].keys() == {f"{name}" for name in profiles.files("full", native=True, esp32=False)}
    assert figures["linked"], "the figures of the last measurement are missing"
    assert "needs a clone of the repository" in installed("footprint", "--write", status=2), "it measures first"
    installed("doctor", "--json")
    assert "DiceManagerDown" in installed("manager", "rules") and "panels" in installed("manager", "dashboard")
    assert f"ExecStart={installed.site.parent.parent.parent}/bin/dicectl " in installed("manager", "unit", "--host", "x")
    for path in installed.empty.iterdir():
        path.unlink()


def test_the_manager_runs_with_a_device_and_a_group(of_wheel):
    """A device is provisioned, and a group created."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with of_wheel.background("manager", "run", "--new", "--host", "127.0.0.1", "--port", port, "--json") as line:
        assert "serving" in line
        of_wheel("group", "new", "lamps", "--json")
        of_wheel("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        assert [member["device"] for member in of_wheel("group", "members", "lamps", "--json")] == ["desk"]
    assert json.loads((of_wheel.empty / "desk" / "node.json").read_text())["manager"]


@pytest.mark.firmware
def test_a_script_runs_on_an_emulated_board(of_wheel, firmware):  # noqa: F811
    """With the same firmware as in a clone. Deploy prints its plan."""
    (of_wheel.empty / "hello.py").write_text("import dice\nprint(dice.__version__)\n")
    assert of_wheel("emulate", "hello.py") == f"{__version__}\n"
    with of_wheel.background("emulate", "--pty") as line:
        planned = of_wheel("deploy", "hello.py", "--port", line.split()[-1], "--dry-run", "--force", "--json")
    assert planned["copied"].keys() >= {"/hello.mpy", "/dice.mpy"}


@pytest.fixture
def carrying(built, of_wheel):
    with zipfile.ZipFile(built[1]) as wheel:
        if not any("/prebuilt/" in name for name in wheel.namelist()):
            native.check(CARRIED, "fast")
            raise AssertionError("the wheel has none of the modules that can be compiled here")
    return of_wheel


FIND = """
from dicectl.errors import CommandError
from dicectl.firmware import prebuilt
for architecture, variant in (("armv6m", "fast"), ("armv6m", "small"), ("armv7m", "fast"), ("xtensa", "fast")):
    try:
        print(prebuilt.find(architecture, variant).hex())
    except CommandError as failure:
        print(failure.format_message())
"""


def test_native_code_needs_no_compiler_if_the_wheel_carries_it(carrying):
    """A module that it does not carry is named, with what to do."""
    argv = carrying.bin / "python", "-c", FIND
    *found, lacking, unknown = run(*argv, cwd=carrying.empty, env=carrying.environment(False)).splitlines()
    assert found == [native.build(CARRIED, variant).read_bytes().hex() for variant in ("fast", "small")]
    assert lacking.startswith(
        "this dicectl was packaged without _dice.mpy for armv7m: install a released wheel, or a compiler (missing: "
    )
    assert unknown.startswith("there is no native code for xtensa; there is for armv6m, ")
    index = carrying("mip-index", "index", "--architecture", CARRIED, "--architecture", "armv7m", "--json", compilers=False)
    assert index["packages"][CARRIED].keys() >= {"dice-native", "dice-native-small"}
    assert index["without_native"] == {"armv7m": lacking}
    shutil.rmtree(carrying.empty / "index")


@pytest.mark.firmware
@pytest.mark.on_demand
def test_native_code_goes_from_the_wheel_to_a_board(carrying, firmware):  # noqa: F811
    """The emulated RP2040 reports .mpy 6.3 for armv6m, and runs what it gets; all without a compiler."""
    with carrying.background("emulate", "--pty", "--firmware", firmware) as line:
        port = line.split()[-1]
        for variant in ("small", "fast"):
            done = carrying(
                "deploy", "--port", port, "--profile", "group", "--native", variant, "--force", "--json", compilers=False
            )
            assert done["copied"]["/_dice.mpy"] == native.build(CARRIED, variant).stat().st_size
        code = "import _dice\nprint(_dice.VERSION, hasattr(_dice, '__file__'), len(_dice.public(bytes(31) + b'\\1')))"
        mpremote = carrying.bin / "mpremote", "connect", port, "exec", code
        assert run(*mpremote, cwd=carrying.empty).split() == [str(codes.NATIVE_VERSION), "True", "65"]


@pytest.mark.network
def test_the_demo_succeeds(of_wheel):
    assert "All checks passed" in of_wheel("demo", "--no-board")


def test_a_missing_extra_is_named_with_its_command(of_sdist):
    (of_sdist.empty / "hello.py").write_text("print(1)")
    said = of_sdist("emulate", "hello.py", status=3)
    assert said == "dicectl: the emulator is not installed: pip install 'dice-dtls[emulator]'\n"


@pytest.mark.parametrize("which", ["of_wheel", "of_sdist"])
def test_no_command_writes_into_the_installation(which, request):
    """None of those in the tests above."""
    installed = request.getfixturevalue(which)
    assert installed.listing() == installed.before
