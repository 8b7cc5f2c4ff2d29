# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Which modules of dice make a profile, for MicroPython's manifests and for dicectl.

    include("path/to/lib/manifest.py")                      # everything
    include("path/to/lib/manifest.py", profile="group")     # a member of a group without its network: sans-IO, no asyncio
    include("path/to/lib/manifest.py", profile="psk")       # that, and a DTLS client with a pre-shared key
    include("path/to/lib/manifest.py", unix=True)           # everything, for MicroPython's unix port
    include("path/to/lib/manifest.py", native=True)         # only what firmware takes that takes native code; False: the other

A module is compiled with -O3: no line numbers in tracebacks, which saves flash. What is frozen is a temporary copy of these sources
in which constants are folded (tools/dicectl/firmware/fold.py); fold=False only names the files, for who folds them himself.
"""

import atexit
import os
import runpy
import shutil
import tempfile

_CONSTANTS = ("codes.py", "limits.py", "reasons.py")  # folded away
_HOST = ("_cpython.py", "aio/_cpython.py", "crypto/host.py")  # CPython only
_KEEPER = ("group/gsa_encode.py", "group/manager.py", "aio/kdc.py")  # of the group's manager, which is no board
_UNIX = ("_posix.py",) + _KEEPER  # what files need on an operating system
_PLAIN = ("crypto/ccm.py",)  # what is needed where native code is not taken
_NATIVE = ("crypto/ccm_viper.py",)  # and where it is

_GROUP = (
    "__init__.py",
    "_compat.py",
    "errors.py",
    "replay.py",
    "store.py",
    "crypto/__init__.py",
    "crypto/ccm.py",
    "crypto/ccm_viper.py",
    "crypto/hmac.py",
    "suites.py",
    "record.py",
    "group/__init__.py",
    "group/context.py",
    "group/gsa.py",
    "group/counters.py",
    "group/member.py",
)

# Beside _GROUP: what a client with a pre-shared key needs.
_PSK = (
    "dtls/__init__.py",
    "dtls/client.py",
    "dtls/flights.py",
    "dtls/handshake.py",
    "dtls/keys.py",
    "dtls/kx_psk.py",
    "dtls/messages.py",
    "dtls/record_layer.py",
    "dtls/session.py",
    "wire.py",
)


def _everything():
    """Return all modules but those that boards do not need."""
    found = []
    for folder, _, names in os.walk("dice"):
        found += [os.path.relpath(os.path.join(folder, name), "dice").replace(os.sep, "/") for name in names]
    return sorted(name for name in found if name.endswith(".py") and name not in _CONSTANTS + _HOST + _UNIX)


def _version():
    """Return dice.__version__ without importing dice."""
    with open("dice/__init__.py") as file:
        return next(line.split('"')[1] for line in file if line.startswith("__version__ = "))


def _folded(files):
    """Return a temporary folder with folded copies of these files, as new as the sources, so that make sees what changed."""
    places = ("../tools/dicectl/firmware/fold.py", "../../firmware/fold.py")  # in the repository; where dicectl is installed
    tool = next((place for place in places if os.path.exists(place)), None)
    if tool is None:
        raise ValueError("no fold.py beside dice's lib/: it must stay in its repository, or where dicectl has it")
    target = tempfile.mkdtemp(prefix="dice-folded-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    runpy.run_path(tool)["copy"](".", ["dice/" + name for name in files], target)
    return target


# In a firmware a version here would be appended to every module, MicroPython's own too.
if "freeze" not in globals():
    metadata(version=_version(), description="DTLS In Constrained Environments", license="MIT", author="The dice authors")

options.defaults(profile="full", unix=False, native=None, fold=True)
_profiles = {"none": (), "group": _GROUP, "psk": _GROUP + _PSK, "full": _everything()}
if options.profile not in _profiles:
    raise ValueError("dice has no profile %s; it has %s" % (options.profile, ", ".join(_profiles)))
_files = tuple(_profiles[options.profile]) + (_UNIX if options.unix and options.profile != "none" else ())
_needless = () if options.native is None else _PLAIN if options.native else _NATIVE
_files = tuple(name for name in _files if name not in _needless)
package("dice", files=_files, base_path=_folded(_files) if options.fold and _files else ".", opt=3)
