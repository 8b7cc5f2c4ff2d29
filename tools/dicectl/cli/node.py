# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl node`: nodes without boards, in MicroPython's unix port."""

import subprocess
import sys
import time
from pathlib import Path

import rich_click as click

from dicectl import line_socket
from dicectl.cli.options import network_options
from dicectl.errors import USAGE, CommandError
from dicectl.manager import control

_DICECTL = (sys.executable, "-m", "dicectl")
_FILE = "node.json"
_GROUP = "lamps"
_REGISTRY = "dice.db"
_DESK = "desk"
_PORT = 5684
_START_S = 30
_TRY_S = 0.1
_OWN, _HOST = "own", "host"


@click.command("node")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...", type=click.Path(file_okay=False))
@click.option("--count", type=click.IntRange(1, 50), help="Make FOLDER a site of so many lamps, with a manager, and run it.")
@click.option(
    "--manager", "registry", type=click.Path(dir_okay=False), help="Run the manager of this registry too, in the same network."
)
@click.option(
    "--member", "members", multiple=True, type=click.Path(file_okay=False), help="Run a resident member too; can be repeated."
)
@click.option(
    "--net",
    type=click.Choice([_OWN, _HOST]),
    help="A network of their own, which nothing leaves, or that of this computer.  [default: own with --count or --manager, "
    "else host]",
)
@network_options
@click.option("--heap", default="1m", show_default=True, help="RAM of each node: 512k, 1m.")
def command(folders, count, registry, members, net, interface, hops, heap):
    """Run nodes without boards: firmware/app, the very files, in MicroPython's unix port.

    FOLDER is the file system of a node, and `dicectl provision new NAME --to FOLDER` makes it. A node that ends is started again,
    as a board is. Its options are in FOLDER/app.json, which is created with a simulated sensor. Ctrl-C ends all.

    In a network of their own (Linux), nodes need a manager there: --manager, or --count, which makes all that is needed. Commands
    in other terminals reach the manager and members there by their sockets, which are files.

    \b
    Examples:
      dicectl node site --count 3
      dicectl group send lamps on --as site/desk                   (in another terminal)
      dicectl group ask lamps light --as site/desk -m site/dice.db
    \b
    With a manager that runs on this computer:
      dicectl provision new lamp-1 --group lamps --to lamp-1
      dicectl node lamp-1
    """
    from dicectl.system import require_unix

    require_unix("dicectl node")
    options = {"interface": interface, "hops": hops}
    site = _Site([*map(Path, folders)], registry and Path(registry), [*map(Path, members)], options)
    net = net or (_OWN if count or registry else _HOST)
    try:
        if count:
            site.make(count)
        site.check()
        if net == _OWN:
            site.enter_network()
        site.run(heap)
    except KeyboardInterrupt:
        pass


class _Site:
    """Nodes, and maybe the manager and members that run beside them."""

    def __init__(self, folders, registry, members, options):
        self.folders = folders
        self._registry = registry
        self._members = members
        self._options = options  # for app.json
        self._stores = []  # locks of the folders
        self._addresses = []  # of managers
        self._is_made = False

    def make(self, count):
        """Plan a site in the one folder that was given: what is missing is made once its manager runs."""
        if len(self.folders) > 1 or self._registry:
            raise CommandError("--count makes a site in one FOLDER, with a manager of its own", USAGE)
        (top,) = self.folders
        top.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._registry = top / _REGISTRY
        self._members.append(top / _DESK)
        self.folders = [top / f"lamp-{number}" for number in range(1, count + 1)]
        self._is_made = True

    def check(self):
        """Read each node.json, and lock each folder; raises CommandError."""
        from dicectl.member.host_member import HostMember

        for folder in self.folders:
            if not self._is_made or (folder / _FILE).exists():
                self._addresses += HostMember(folder, []).addresses
            if not self._is_made:
                self._prepare(folder)
        self._addresses = self._addresses or [("127.0.0.1", _PORT)]

    def _prepare(self, folder):
        """Lock a folder, which the unix port cannot do, and write its app.json; raises CommandError."""
        from dicectl.firmware import unix_node
        from dicectl.member import node_file

        self._stores.append(node_file.lock(folder))
        written = unix_node.configure(folder, **self._options)
        if written:
            said = ", ".join(f"{name} {value}" for name, value in written.items())
            click.echo(f"{folder / 'app.json'}: {said}", err=True)

    def enter_network(self):
        """Enter a network namespace in which the addresses of the managers are ours."""
        import ipaddress

        from dicectl.net import links, namespace

        hosts = list(dict.fromkeys(host for host, _ in self._addresses))
        ipv6 = any(":" in host for host in hosts)
        namespace.enter(ipv6)
        for number, host in enumerate(hosts):
            try:
                address = ipaddress.ip_address(host)
            except ValueError:
                continue  # a name, which only a hosts file can resolve here
            if address.is_loopback or host == namespace.ADDRESS6:
                continue
            if address.version == 6:
                links.add_address("ipv6", host)
            else:
                links.add_ipv4_address(f"lo:{number}", host, "255.255.255.255")

    def run(self, heap):
        """Run all until Ctrl-C; raises CommandError."""
        from dicectl.firmware import unix_node

        programs = []
        try:
            if self._registry:
                programs.append(self._start_manager())
            if self._is_made:
                self._make_missing()
            members = [*_DICECTL, "member", "run"]
            programs += [unix_node.Program(path.name, [*members, str(path)], lasts=True) for path in self._members]
            programs += [unix_node.node(folder, heap) for folder in self.folders]
        finally:
            if len(programs) <= 1:  # the rest failed
                for program in programs:
                    program.end()
        width = max(len(program.name) for program in programs)
        unix_node.run(programs, lambda name, line: click.echo(f"{name:{width}}  {line}"))

    def _start_manager(self):
        """Start the manager, and wait until it serves."""
        from dicectl.firmware import unix_node

        host, port = self._addresses[0]
        argv = [*_DICECTL, "manager", "run", str(self._registry), "--host", host, "--port", str(port)]
        argv += ["--new"] if self._is_made else []
        program = unix_node.Program("manager", argv, lasts=True)
        program.start()
        end = time.monotonic() + _START_S
        while time.monotonic() < end and program.process.poll() is None:
            try:
                with line_socket.connected(f"{self._registry}.socket", 1):
                    return program
            except (line_socket.NobodyServes, OSError):
                time.sleep(_TRY_S)
        program.end()
        program.read()
        raise CommandError(f"the manager does not start: {' '.join(program.last_lines) or 'look at its registry'}")

    def _make_missing(self):
        """Create the group, the desk and the lamps that are not there yet."""
        registry = str(self._registry)
        if _GROUP not in [group["name"] for group in control.call(registry, "groups")]:
            self._dicectl("group", "new", _GROUP, "-m", registry)
        for path, role in ((self._members[-1], "sender"), *((folder, "answering") for folder in self.folders)):
            if not (path / _FILE).exists():
                self._dicectl("provision", "new", path.name, "--group", f"{_GROUP}:{role}", "--to", str(path), "-m", registry)
        for folder in self.folders:
            self._prepare(folder)
        click.echo(f"in another terminal: dicectl group send {_GROUP} on --as {self._members[-1]}", err=True)

    def _dicectl(self, *arguments):
        done = subprocess.run([*_DICECTL, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise CommandError(done.stderr.strip().removeprefix("dicectl: "), done.returncode)
