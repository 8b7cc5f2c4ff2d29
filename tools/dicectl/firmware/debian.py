# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""MicroPython for RP2040 boards from Debian's packages, fetched and unpacked into the cache; nothing is installed.

apt fetches the packages and checks signatures and checksums. It gets a configuration of its own: the Debian archives and keys of
this machine, with another suite. Debian's source of MicroPython lacks the libraries that MicroPython bundles. They are packages of
their own:

    micropython (source)       with empty folders in lib/ for
    mbedtls (source)           lib/mbedtls
    pico-sdk-source            lib/pico-sdk
    tinyusb-source             lib/tinyusb
"""

import json
import os
import re
import shutil
from pathlib import Path

from dicectl import json_file
from dicectl.errors import CommandError
from dicectl.subprocess_log import Log, cache, file_lock, require_commands

SUITE = "trixie"
_SOURCES = ("micropython", "mbedtls")
_BINARIES = {"pico-sdk-source": "pico-sdk", "tinyusb-source": "tinyusb"}  # package: folder of usr/src and of lib/
_TOOLS = {"dpkg-source": "dpkg-dev", "dpkg-deb": "dpkg", "make": "make", "gcc": "gcc"}
_SUITES = {"stable", "oldstable", "testing", "unstable", "sid", "bullseye", "bookworm", "trixie", "forky"}

_APT_CONFIG = """\
Dir::State "{0}";
Dir::State::Lists "{0}/lists";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{0}/sources";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
"""


def _folder():
    return cache() / f"debian-{SUITE}"


def versions():
    """Return {package: version} of the tree that tree() returns, or None if it was not fetched yet."""
    try:
        path = _folder() / "versions.json"
        return json_file.read(path, "the versions of a source tree", f"remove {path.parent}, and it is fetched again")
    except FileNotFoundError:
        return None


def tree(progress):
    """Return the folder of a MicroPython source tree with mpy-cross built, fetched once. Raises CommandError."""
    folder = _folder()
    with file_lock(folder, progress):
        if versions() is None:
            if not shutil.which("apt-get"):
                raise CommandError("there is no apt-get here; build from a checkout of MicroPython: --micropython DIR")
            require_commands(_TOOLS)
            log = Log(folder / "fetch.log")
            names = fetch(folder, SUITE, _SOURCES, _BINARIES, log, progress)
            progress("unpacking")
            _unpack(folder, names, log)
            progress("building mpy-cross")
            log.run("building mpy-cross", ["make", "-C", folder / "micropython" / "mpy-cross", f"-j{os.cpu_count()}"])
            (folder / "versions.json").write_text(json.dumps(_versions(names), indent=2))
    return folder / "micropython"


def fetch(folder, suite, sources, binaries, log, progress, options=()):
    """Download source and binary packages of a suite to folder/packages; return the names of their files.

    `options` are of `apt-get source`, such as --tar-only.
    """
    packages = folder / "packages"
    shutil.rmtree(packages, ignore_errors=True)  # apt lists only files that are not there, from an attempt that was interrupted
    packages.mkdir()
    environment = {**os.environ, "APT_CONFIG": str(_configure(folder / "apt", suite)), "LC_ALL": "C"}
    wanted = [["apt-get", "source", "--download-only", *options, *sources]] if sources else []
    wanted += [["apt-get", "download", *binaries]] if binaries else []

    def run(command):
        return log.run("fetching from Debian", command, cwd=packages, environment=environment)

    progress(f"fetching the list of Debian's packages ({suite})")
    run(["apt-get", "update"])
    found = [re.findall(r"^'\S+' (\S+) (\d+) ", run([*command, "--print-uris"]), re.MULTILINE) for command in wanted]
    size = sum(int(size) for files in found for _, size in files)
    progress(f"fetching {', '.join([*sources, *binaries])} from Debian ({size / 1e6:.0f} MB)")
    for command in wanted:
        run(command)
    return [name for files in found for name, _ in files]


def _configure(folder, suite):
    """Write a configuration of apt in which no package is installed; return its path."""
    for name in ("lists/partial", "cache/archives/partial", "sources"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").write_text("")
    (folder / "sources" / "debian.sources").write_text(derive_sources(Path("/etc"), suite))
    path = folder / "apt.conf"
    path.write_text(_APT_CONFIG.format(folder))
    return path


def derive_sources(etc, suite=SUITE):
    """Return apt's deb822 sources for a suite, with the Debian archives and keys of this machine; raises CommandError."""
    found = {}
    for path in [etc / "apt" / "sources.list", *sorted((etc / "apt" / "sources.list.d").glob("*"))]:
        if path.is_file():
            entries = _deb822(path.read_text()) if path.suffix == ".sources" else _one_line(path.read_text())
            found.update((uris, key) for uris, suites, key in entries if suites & _SUITES)
    if not found:
        raise CommandError(
            f"apt has no Debian archive in {etc}/apt to fetch {suite} from; build from a checkout: --micropython DIR"
        )
    stanza = f"Types: deb deb-src\nURIs: %s\nSuites: {suite}\nComponents: main\n%s"
    return "\n".join(stanza % (uris, f"Signed-By:{key}\n" if key else "") for uris, key in found.items())


def _deb822(text):
    """Yield (URIs, suites, Signed-By) of the stanzas of a .sources file."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = {name.lower(): value for name, value in re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)}
        if fields.get("enabled", "").strip().lower() != "no" and "main" in fields.get("components", "").split():
            yield " ".join(fields.get("uris", "").split()), set(fields.get("suites", "").split()), fields.get("signed-by", "")


def _one_line(text):
    """Yield (URI, suites, Signed-By) of the lines of a .list file."""
    for options, uri, suite, components in re.findall(r"^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.*)", text, re.MULTILINE):
        key = re.search(r"signed-by=(\S+)", options)
        if "main" in components.split():
            yield uri, {suite}, f" {key[1]}" if key else ""


def _unpack(folder, names, log):
    """Unpack the packages to folder/micropython, as one source tree."""
    for leftover in ("micropython", "unpacking"):
        shutil.rmtree(folder / leftover, ignore_errors=True)
    work = folder / "unpacking"
    work.mkdir()
    packages = folder / "packages"
    for source in _SOURCES:
        description = next(packages / name for name in names if name.startswith(f"{source}_") and name.endswith(".dsc"))
        log.run(f"unpacking {source}", ["dpkg-source", "-x", description, work / source])
    for package in _BINARIES:
        archive = next(packages / name for name in names if name.startswith(f"{package}_"))
        log.run(f"unpacking {package}", ["dpkg-deb", "-x", archive, work / "binaries"])
    bundled = {work / "binaries" / "usr" / "src" / name: name for name in _BINARIES.values()}
    for origin, name in {**bundled, work / "mbedtls": "mbedtls"}.items():
        target = work / "micropython" / "lib" / name
        shutil.rmtree(target, ignore_errors=True)
        origin.rename(target)
    for name in ("pico-sdk", "micropython-lib"):  # the build checks with these that the folder is not empty
        (work / "micropython" / "lib" / name).mkdir(exist_ok=True)
        (work / "micropython" / "lib" / name / "README.md").touch()
    (work / "micropython").rename(folder / "micropython")
    shutil.rmtree(work)


def _versions(names):
    """Return {package: version}, from the names of the packages' files."""
    return dict(sorted(name.rsplit(".", 1)[0].split("_")[:2] for name in names if name.endswith((".dsc", ".deb"))))
