# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager`: the service that admits devices to groups, renews their keys and throws members out."""

import rich_click as click

_SHOW_S = 0.5


@click.group("manager")
def command():
    """Run the manager of groups, and read what it noted.

    It hands out keys over DTLS. While it runs, `dicectl provision` makes devices and `dicectl group` says who is in which group.

    \b
    Example:
      dicectl manager run dice.db
      dicectl group new lamps                                      (in another terminal)
      dicectl provision new switch --group lamps:sender --to switch/
      dicectl provision new lamp-1 --group lamps --port /dev/ttyACM0
    """


@command.command()
@click.argument("registry", type=click.Path(dir_okay=False), default="dice.db")
@click.option("--port", type=click.IntRange(1, 65535), default=5684, show_default=True, help="UDP port for devices.")
@click.option("--host", help="Name or address under which devices find this computer.  [default: found out]")
@click.option("--metrics", type=click.IntRange(1, 65535), help="TCP port on loopback for Prometheus.  [default: none]")
@click.option("--json", "as_json", is_flag=True, help="For programs: one object for each thing that happens.")
def run(registry, port, host, metrics, as_json):
    """Serve devices and commands until it is ended; REGISTRY is made where there is none.

    The registry holds the keys of all devices and groups: keep it on this computer, readable by its owner alone, and back it up
    while no manager runs on it. Killing the manager loses nothing.
    """
    import asyncio

    from dicectl.manager.registry.sqlite import SqliteRegistry

    opened = SqliteRegistry(registry)
    try:
        asyncio.run(_run(opened, port, host or _own_address(), metrics, as_json))
    except KeyboardInterrupt:
        pass
    finally:
        opened.close()


def _own_address():
    """Return this computer's address on the network where multicast would go; nothing is sent."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("239.255.0.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


async def _run(registry, port, host, metrics_port, as_json):
    import asyncio

    from dicectl.errors import CommandError
    from dicectl.manager.metrics import Metrics
    from dicectl.manager.service import ManagerService

    service = ManagerService(registry, registry.path)
    try:
        await service.start(port, host)
    except OSError as error:
        raise CommandError(f"cannot serve on UDP port {port}: {error.strerror or error}; choose another with --port")
    try:
        metrics = Metrics(metrics_port) if metrics_port else None
        with _dashboard(service, as_json) as dashboard:
            dashboard.begin(port, host)
            while True:
                dashboard.refresh()
                if metrics:
                    metrics.take(service)
                await asyncio.sleep(_SHOW_S)
    finally:
        service.close()


def _dashboard(service, as_json):
    from dicectl.manager.dashboard import Dashboard

    return Dashboard(service, as_json)


@command.command()
@click.argument("registry", type=click.Path(dir_okay=False), default="dice.db")
@click.option("--json", "as_json", is_flag=True, help="For programs: one object a line.")
def audit(registry, as_json):
    """Print the audit log: who was let in, thrown out and given keys, and when. There are no secrets in it.

    Entries are written with the change that they tell of and cannot be changed later.
    """
    import json

    from dicectl.manager.dashboard import line
    from dicectl.manager.registry.sqlite import read_audit

    for entry in read_audit(registry):
        click.echo(json.dumps(entry) if as_json else line(entry))
