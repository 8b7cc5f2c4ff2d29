# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl group monitor`: prints each datagram of a group, the message or why it was dropped, as a resident member reports it."""

import contextlib
import json
import os
import time
from ipaddress import ip_address
from pathlib import Path

import rich_click as click

from dice.group.gsa import decode
from dice.reasons import E_REFUSED
from dice.store import read_file
from dicectl import ending, line_socket
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.member import member_socket
from dicectl.net import pcapng
from dicectl.text import printable

_OFFERS = ("interface", "hops")


def _create(path, mode):
    """Return a new file that only its owner can read, because it contains messages or keys; raises CommandError."""
    try:
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), mode)
    except OSError as error:
        raise CommandError(f"cannot create {path}: {error.strerror}", USAGE)


class Monitor:
    """One run of the command. The reports come from the resident member of the folder, or this process is one meanwhile."""

    def __init__(self, group, folder, capture, keylog, count, as_json, **network):
        """`network` may have the interface and the hops for this process as a member."""
        self._group = group
        self._folder = Path(folder)
        self._network = {name: network[name] for name in _OFFERS if network.get(name) is not None}
        self._files = contextlib.ExitStack()
        self._capture = pcapng.Writer(self._files.enter_context(_create(capture, "wb"))) if capture else None
        self._keys = self._files.enter_context(_create(f"{capture}.keys", "w")) if keylog else None
        self._logged = set()
        self._count = count
        self._as_json = as_json
        self._left = 0
        self._joined = False
        self._refused = None

    def run(self):
        """Report until `count` datagrams were received."""
        from dicectl.member.host_member import ResidentAppeared

        with self._files:
            self._left = self._count or 0
            while True:
                try:
                    if self._of_resident():
                        return
                    click.echo(f"{member_socket.WHO} has ended", err=True)
                except line_socket.NobodyServes:
                    pass
                with contextlib.suppress(ResidentAppeared):
                    ending.run(self._alone())
                    return

    def _of_resident(self):
        """Report what the resident member says; return whether that was enough. Raises NobodyServes."""
        request = {"do": "monitor", "group": self._group, "datagrams": bool(self._capture), **self._network}
        said = line_socket.lines(member_socket.path(self._folder), request, member_socket.who(self._folder), wait_s=None)
        with contextlib.closing(said):
            return any(self._report(value) for value in said)

    async def _alone(self):
        """Be the resident member until enough is reported; raises ResidentAppeared if another process is."""
        import asyncio

        from dicectl.member.resident import Resident

        member = Resident(self._folder, [self._group], say=self._tell, **self._network)
        serving = asyncio.Event()
        tasks = [asyncio.ensure_future(member.run(serving.set)), asyncio.ensure_future(self._follow(member, serving))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, member, serving):
        await serving.wait()
        stream = member.do_monitor(self._group, bool(self._capture))
        while True:
            value = await stream.get()
            if value is not None and self._report(value):
                return
            if self._refused:
                raise CommandError(self._refused, FAILED)

    def _tell(self, event, group=None, error=None, **details):
        """Tell the user what keeps the member from its group."""
        self._joined = self._joined or event == "joined"
        if event == "joined" and not self._as_json:
            click.echo(f"listening to {group}, epoch {details['epoch']}", err=True)
        elif event == "trouble" and not self._joined and error.startswith(f"E{E_REFUSED}"):
            self._refused = f"{group}: {error}"
        elif event in ("away", "trouble"):
            click.echo(f"{group or 'the manager'}: {error}", err=True)

    def _report(self, value):
        """Print what was said; return whether it was the last of them. Raises CommandError."""
        try:
            return self._print(value)
        except OSError as error:
            raise CommandError(f"the monitor ends: {error}", FAILED)

    def _print(self, value):
        if "waiting" in value:  # the state of the member in the group
            if value["joined"] and not self._as_json:
                click.echo(f"listening to {value['address']} port {value['port']}, epoch {value['epoch']}", err=True)
            return False
        if "lost" in value:
            click.echo(json.dumps(value) if self._as_json else f"{value['lost']} datagrams were not shown: this reader is too slow")
            return False
        datagram = bytes.fromhex(value.pop("datagram", ""))
        text = _text(value)
        clock = time.strftime("%H:%M:%S", time.localtime(value["at"]))
        click.echo(json.dumps(value) if self._as_json else f"{clock}  {text}")
        self._write(value, datagram, text)
        self._left -= 1
        return self._left == 0

    def _write(self, value, datagram, text):
        gsa = read_file(str(self._folder / f"{self._group}.gsa"), decode) if self._capture or self._keys else None
        if self._capture and gsa:
            host, _, port = value["from"].rpartition(":")
            host = ip_address(host.strip("[]").partition("%")[0]).packed  # without the zone of a link-local address
            self._capture.packet(value["at"], datagram, (host, int(port)), (gsa.address, gsa.port), text)
        if self._keys and gsa and gsa.epoch not in self._logged:
            self._logged.add(gsa.epoch)
            self._keys.write(f"DICE_GROUP_TEK {gsa.gid.hex()} {gsa.epoch} {gsa.key.hex()}\n")
            self._keys.flush()


def _text(value):
    """Return what a user reads of a datagram."""
    if "dropped" in value:
        return f"dropped as {value['dropped']}" + (f", epoch {value['epoch']}" if "epoch" in value else "")
    who = "this member" if value.get("own") else f"sender {value['sender']}"
    return f"{who}, epoch {value['epoch']}, number {value['number']}: {printable(value.get('coap') or value['message'])}"
