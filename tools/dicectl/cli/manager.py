# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager`: the service that adds devices to groups, renews their keys and expels members."""

import rich_click as click

from dicectl.cli import manager_audit, manager_key, manager_service


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
@click.option(
    "--metrics",
    type=click.IntRange(1, 65535),
    help="TCP port on loopback with the pages /metrics for Prometheus, /healthz and /readyz.  [default: none]",
)
@click.option(
    "--log-format",
    "asked",
    type=click.Choice(["plain", "json", "journal"]),
    help="Form of the printed lines.  [default: journal in a systemd service, else plain]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --log-format json.")
@click.option(
    "--detach", is_flag=True, help="Return as soon as it serves; it goes on in the background, until dicectl manager stop."
)
def run(registry, port, host, metrics, asked, as_json, detach):
    """Serve devices and commands until Ctrl-C, SIGTERM or `dicectl manager stop`. REGISTRY is created if it does not exist.

    The registry contains the keys of all devices and groups. Keep it on this computer, readable only by its owner, and back it up
    only while no manager runs on it. The manager may be killed at any time: no change that it reported is lost.

    \b
    Examples:
      dicectl manager run house.db
      dicectl manager run house.db --detach --metrics 9684
    """
    import asyncio

    from dicectl.manager import detach as background
    from dicectl.manager import log_format
    from dicectl.manager.registry.sqlite import SqliteRegistry
    from dicectl.net.address import own
    from dicectl.system import require_unix

    require_unix("the group manager")
    if detach:
        log, pid = background.start(registry)
        click.echo(f"serving devices on UDP port {port} as process {pid}; its log is {log}")
        click.echo(f"to end it: dicectl manager stop {registry}")
        return
    opened = SqliteRegistry(registry)
    chosen = log_format.chosen("json" if as_json else asked)
    try:
        asyncio.run(_run(opened, port, host or own(), metrics, chosen))
    except KeyboardInterrupt:
        pass
    finally:
        opened.close()


async def _run(registry, port, host, metrics_port, log_format):
    from dicectl.manager import process
    from dicectl.manager.dashboard import Dashboard
    from dicectl.manager.http_server import HttpServer
    from dicectl.manager.metrics import Metrics
    from dicectl.manager.operation_metrics import OperationMetrics
    from dicectl.manager.service import ManagerService

    service = ManagerService(registry, registry.path)
    http = HttpServer(metrics_port, Metrics(), OperationMetrics()) if metrics_port else None
    try:
        with Dashboard(service, log_format) as dashboard:
            await process.run(service, port, host, dashboard, http)
    finally:
        if http:
            http.close()


for _command in (
    manager_audit.audit,
    manager_key.key,
    manager_key.encrypt,
    manager_key.decrypt,
    *manager_service.commands,
):
    command.add_command(_command)
