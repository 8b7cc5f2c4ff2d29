# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A unit of systemd for `dicectl manager run`.

The service may write in its state directory and nowhere else, has no privileges, sees no device and no home, and speaks UDP and TCP
only. systemd restarts it when it ends with an error, or when it has not said for 30 s that it is alive.
"""

import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry.opening import is_database

PATH = "/etc/systemd/system/dice-manager.service"
STATE = Path("/var/lib/dice")  # systemd's StateDirectory=dice
_PRIVILEGED_PORTS = 1024
_TEXT = """\
# Written by: dicectl manager unit
[Unit]
Description=dice group manager
Documentation=https://github.com/dice-dtls/dice
Wants=network-online.target
After=network-online.target time-sync.target postgresql.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=2
WatchdogSec=30
TimeoutStartSec=5min
TimeoutStopSec=30

{user}
{state}
{credentials}UMask=0077

{capabilities}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def text(registry, user, port, host, metrics, key_file=None, pgpass=None, more=()):
    """Return the unit; raises CommandError for a registry that the service could not write. `more`: words for its command."""
    if is_database(registry):
        if urlsplit(registry).password:
            raise CommandError(
                "everybody can read a unit: put the password into a password file of PostgreSQL, and name it with --pgpass", USAGE
            )
        own, path = True, STATE / "dice.db"
        arguments = ["manager", "run", registry, "--control", str(path)]
    else:
        path = Path(registry)
        if not path.is_absolute():
            raise CommandError(f"{registry}: name the registry with its whole path, such as {STATE}/dice.db", USAGE)
        own = path.is_relative_to(STATE)
        arguments = ["manager", "run", registry]
    if not own and not user:
        raise CommandError(f"a user that systemd makes can write in {STATE} alone: move the registry there, or give --user", USAGE)
    arguments += ["--host", host, "--port", str(port), "--metrics", str(metrics), *more]
    credentials = [f"LoadCredential=dice-key:{_path(key_file)}"] if key_file else []
    if pgpass:
        credentials += [f"LoadCredential=pgpass:{_path(pgpass)}", "Environment=PGPASSFILE=%d/pgpass"]
    capability = "CAP_NET_BIND_SERVICE" if port < _PRIVILEGED_PORTS else ""
    return _TEXT.format(
        command=" ".join(map(_quoted, [*_program(), *arguments])),
        user=f"User={user}" if user else "DynamicUser=yes",
        state="StateDirectory=dice\nStateDirectoryMode=0700" if own else f"ReadWritePaths={_quoted(str(path.parent))}",
        credentials="".join(f"{line}\n" for line in credentials),
        capabilities=f"CapabilityBoundingSet={capability}" + (f"\nAmbientCapabilities={capability}" if capability else ""),
    )


def before(registry):
    """Return the commands that create the registry, if there is none yet."""
    if is_database(registry) or Path(registry).exists():
        return []
    return [f"install -d -m 700 {_quoted(str(Path(registry).parent))}", f"dicectl manager new {_quoted(registry)}"]


def _program():
    """Return the words that start this dicectl."""
    script = Path(sys.prefix, "bin", "dicectl")
    return [str(script)] if script.exists() else [sys.executable, "-m", "dicectl"]


def _quoted(word):
    """Return a word as systemd reads it in a command: % and $ stand for themselves."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in escaped for c in " \t;'\"\\") else escaped


def _path(name):
    """Return the path of a file for systemd to read; raises CommandError."""
    if not Path(name).is_absolute():
        raise CommandError(f"{name}: name it with its whole path, such as /etc/dice/{Path(name).name}", USAGE)
    return name.replace("%", "%%")


def notes(user):
    """Yield sentences about what keeps the service from running here."""
    prefix = Path(sys.prefix)
    if prefix.is_relative_to("/home") or prefix.is_relative_to("/root"):
        yield f"the service cannot read {prefix}, where this dicectl is: install it for all users (pipx install --global)"
    if not shutil.which("systemctl"):
        yield "this computer has no systemd"
    if user:
        yield f"{user} must own the registry and its folder"
