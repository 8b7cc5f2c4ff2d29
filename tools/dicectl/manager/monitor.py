# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The member behind `dicectl group monitor`, which reports each datagram: the message, or why it was dropped."""

import asyncio
import contextlib
import json
import os
import time
from ipaddress import ip_address

import rich_click as click

from dice import record
from dice.errors import DiceError
from dice.group.gsa import decode
from dice.store import read_file
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.host_member import HostMember
from dicectl.net import pcapng
from dicectl.net.address import text_of
from dicectl.reasons import SENTENCES
from dicectl.text import printable

_AGAIN_S = 1  # before the group that replaces an ended one is looked for


def _create(path, mode):
    """Return a new file that only its owner can read, because it contains messages or keys; raises CommandError."""
    try:
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), mode)
    except OSError as error:
        raise CommandError(f"cannot create {path}: {error.strerror}", USAGE)


class Monitor:
    """One run of the command."""

    def __init__(self, group, folder, capture, keylog, count, as_json):
        self._member = HostMember(folder, group, self._report)
        self._files = contextlib.ExitStack()
        self._capture = pcapng.Writer(self._files.enter_context(_create(capture, "wb"))) if capture else None
        self._keys = self._files.enter_context(_create(f"{capture}.keys", "w")) if keylog else None
        self._logged = set()
        self._count = count
        self._as_json = as_json
        self._done = asyncio.Event()
        self._failure = None  # of a report, such as a full disk

    async def run(self):
        """Join and report, until `count` datagrams were received."""
        with self._files:
            await self._member.join()
            gsa = read_file(str(self._member.path), decode)
            if not self._as_json:
                click.echo(f"listening to {text_of(gsa.address)} port {gsa.port}, epoch {gsa.epoch}", err=True)
            tasks = [asyncio.ensure_future(work) for work in (self._drain(), self._member.stay(), self._done.wait())]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                if self._failure:
                    raise self._failure
            except DiceError as error:
                raise CommandError(f"the monitor ends: E{error.reason}: {SENTENCES[error.reason]}", FAILED)
            except OSError as error:
                raise CommandError(f"the monitor ends: {error}", FAILED)
            finally:
                for task in tasks:
                    task.cancel()
                self._member.leave()
                self._member.close()

    async def _drain(self):
        """Discard the group's messages: _report() has printed them. HostMember.stay() replaces a group that has ended."""
        while True:
            with contextlib.suppress(DiceError, OSError):
                while self._member.group:
                    await anext(self._member.group)
            await asyncio.sleep(_AGAIN_S)

    def _report(self, *processed):
        """Print a datagram; what that raises ends the monitor, since the group's task would survive it."""
        try:
            self._print(*processed)
        except Exception as error:
            self._failure = error
            self._done.set()

    def _print(self, datagram, source, member, before):
        """Print a datagram that the member has processed; `before` has its counters before that."""
        now = time.time()
        accepted, dropped = before
        host = f"[{source[0]}]" if ":" in source[0] else source[0]
        shown = {"at": now, "from": f"{host}:{source[1]}", "bytes": len(datagram)}
        if member.accepted > accepted:
            epoch, sender, sequence = member.epoch, member.sender, member.sequence
            shown.update(epoch=epoch, sender=sender, number=sequence, message=member.data.decode(errors="backslashreplace"))
            text = f"sender {sender}, epoch {epoch}, number {sequence}: {printable(member.data)}"
        else:
            kinds = [kind for kind, number in member.dropped.items() if number > dropped.get(kind, 0)]
            shown["dropped"] = kinds[0] if kinds else "expired"
            epoch = int.from_bytes(datagram[3:5], "big")
            text = f"dropped as {shown['dropped']}" + (f", epoch {epoch}" if record.well_formed(datagram) else "")
        click.echo(json.dumps(shown) if self._as_json else f"{time.strftime('%H:%M:%S', time.localtime(now))}  {text}")
        self._write(now, datagram, source, text)
        if self._count:
            self._count -= 1
            if not self._count:
                self._done.set()

    def _write(self, now, datagram, source, text):
        gsa = read_file(str(self._member.path), decode)
        if self._capture:
            host = ip_address(source[0].partition("%")[0]).packed  # without the zone of a link-local address
            self._capture.packet(now, datagram, (host, source[1]), (gsa.address, gsa.port), text)
        if self._keys and gsa.epoch not in self._logged:
            self._logged.add(gsa.epoch)
            self._keys.write(f"DICE_GROUP_TEK {gsa.gid.hex()} {gsa.epoch} {gsa.key.hex()}\n")
            self._keys.flush()
