# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager`: the service that adds devices to groups, renews their keys and expels members."""

import rich_click as click

_REFRESH_S = 0.5


@click.group("manager")
def command():
    """Run the group manager, or print its audit log.

    The manager delivers keys over DTLS. While it runs, `dicectl provision` creates devices and `dicectl group` manages groups.
    For a group without a manager, whose files you copy to devices yourself, use `dicectl keyring`.

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
@click.option("--host", help="Name or address that devices connect to.  [default: the address of this computer]")
@click.option("--metrics", type=click.IntRange(1, 65535), help="TCP port on loopback for Prometheus.  [default: none]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event.")
def run(registry, port, host, metrics, as_json):
    """Serve devices and commands until Ctrl-C. REGISTRY is created if it does not exist.

    The registry contains the keys of all devices and groups. Keep it on this computer, readable only by its owner, and back it up
    only while no manager runs on it. The manager may be killed at any time: no change that it reported is lost.
    """
    import asyncio

    from dicectl.manager.registry.sqlite import SqliteRegistry
    from dicectl.net.address import own
    from dicectl.system import require_unix

    require_unix("the group manager")
    opened = SqliteRegistry(registry)
    try:
        asyncio.run(_run(opened, port, host or own(), metrics, as_json))
    except KeyboardInterrupt:
        pass
    finally:
        opened.close()


async def _run(registry, port, host, metrics_port, as_json):
    from dicectl.errors import CommandError
    from dicectl.manager.dashboard import Dashboard
    from dicectl.manager.metrics import Metrics
    from dicectl.manager.registry.base import RegistryError
    from dicectl.manager.service import ManagerService

    service = ManagerService(registry, registry.path)
    try:
        await service.start(port, host)
    except OSError as error:
        raise CommandError(f"cannot serve on UDP port {port}: {error.strerror or error}; choose another with --port")
    try:
        metrics = Metrics(metrics_port) if metrics_port else None
        with Dashboard(service, as_json) as dashboard:
            dashboard.begin(port, host)
            while True:
                troubles = service.troubles()
                try:
                    dashboard.refresh()
                    if metrics:
                        metrics.update(service)
                except (RegistryError, CommandError) as error:  # such as a disk that fails for a moment
                    troubles["the registry"] = error
                dashboard.warn(troubles)
                await service.watch(_REFRESH_S)
    finally:
        service.close()


@command.command()
@click.argument("registry", type=click.Path(dir_okay=False), default="dice.db")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each entry.")
def audit(registry, as_json):
    """Print the audit log: when devices were added, expelled and given keys. It contains no secrets.

    An entry is stored together with the change that it describes, and cannot be changed later.
    """
    import json

    from dicectl.manager.dashboard import line
    from dicectl.manager.registry.sqlite import read_audit

    for entry in read_audit(registry):
        click.echo(json.dumps(entry) if as_json else line(entry))
