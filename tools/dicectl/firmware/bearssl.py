# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""BearSSL's source from Debian's packages, fetched and unpacked into the cache."""

import shutil

from dicectl.firmware import debian
from dicectl.subprocess_log import Log, cache, file_lock, require_commands


def _home():
    return cache() / f"bearssl-{debian.SUITE}"


def folder():
    """Return the folder of the source, which source() fetches."""
    return _home() / "source"


def version():
    """Return the name of the archive that was fetched, or None."""
    path = _home() / "version"
    return path.read_text() if path.exists() else None


def source(progress):
    """Return the folder of the source, fetched once. Raises CommandError."""
    home = _home()
    with file_lock(home, progress):
        if not folder().exists():
            require_commands({"apt-get": "apt", "tar": "tar"})
            log = Log(home / "fetch.log")
            # The archive of the upstream source is enough: Debian changes nothing in it.
            names = debian.fetch(home, debian.SUITE, ("bearssl",), (), log, progress, ("--tar-only",))
            (archive,) = (name for name in names if ".orig.tar." in name)
            unpacking = home / "unpacking"
            shutil.rmtree(unpacking, ignore_errors=True)
            unpacking.mkdir()
            log.run("unpacking BearSSL", ["tar", "-xf", home / "packages" / archive, "-C", unpacking, "--strip-components=1"])
            (home / "version").write_text(archive)
            unpacking.rename(folder())
    return folder()
