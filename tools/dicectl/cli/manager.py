# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager`: the service that adds devices to groups, renews their keys and expels members."""

import contextlib

import rich_click as click

from dice.limits import DELIVERY_PACE_MS, EXPEL_PACE_MS, REPORT_PERIOD_MAX_S, REPORT_PERIOD_MIN_S
from dicectl import ending
from dicectl.cli import (
    manager_addresses,
    manager_audit,
    manager_backup,
    manager_certify,
    manager_key,
    manager_new,
    manager_service,
)
from dicectl.cli.options import Period


@click.group("manager")
def command():
    """Run the group manager, or print its audit log.

    The manager delivers keys over DTLS. While it runs, `dicectl provision` creates devices and `dicectl group` manages groups.
    For a group without a manager, whose files you copy to devices yourself, use `dicectl keyring`.

    \b
    Example:
      dicectl manager run dice.db --new
      dicectl group new lamps                                      (in another terminal)
      dicectl provision new switch --group lamps:sender --to switch/
      dicectl provision new lamp-1 --group lamps --port /dev/ttyACM0
    """


@command.command()
@click.argument("registry", type=click.Path(dir_okay=False), default="dice.db")
@click.option("--port", type=click.IntRange(1, 65535), default=5684, show_default=True, help="UDP port for devices.")
@click.option("--host", help="Name or address that devices connect to.  [default: --bind, else the address of this computer]")
@click.option(
    "--bind",
    help="Address of this computer at which to serve devices; the manager sends no multicast, so this chooses its interface.  "
    "[default: all]",
)
@click.option(
    "--also",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Another manager that devices are to know; see addresses.",
)
@click.option(
    "--metrics",
    type=click.IntRange(1, 65535),
    help="TCP port on loopback with the pages /metrics for Prometheus, /healthz and /readyz.  [default: none]",
)
@click.option(
    "--pace",
    "pace_ms",
    type=click.IntRange(1, DELIVERY_PACE_MS),
    default=DELIVERY_PACE_MS,
    show_default=True,
    help="Time in ms between two members to which keys are delivered.",
)
@click.option(
    "--expel-pace",
    "expel_pace_ms",
    type=click.IntRange(1, DELIVERY_PACE_MS),
    default=EXPEL_PACE_MS,
    show_default=True,
    help="The same after an expulsion. All members have the new keys after 5 s and twice this for each member.",
)
@click.option(
    "--report-every",
    "report_s",
    type=Period(least_s=REPORT_PERIOD_MIN_S, most_s=REPORT_PERIOD_MAX_S),
    help="Period in which devices report, 10s to 1h; one that misses a report is silent. A report costs 2 datagrams of 63 bytes: "
    "288 a day and device with 10m, 48 with 1h.  [default: that of the last start, at first 10m]",
)
@click.option(
    "--ca",
    "authorities",
    multiple=True,
    type=click.Path(file_okay=False),
    help="Folder of a local authority (dicectl ca): devices whose certificates it revokes are expelled within seconds, and if its "
    "key is there, certificates are renewed before they expire.",
)
@click.option(
    "--ca-passphrase-file", type=click.Path(dir_okay=False), help="File whose first line is the passphrase of the authority's key."
)
@click.option(
    "--alert-command",
    help="Program to start when a device is silent or back, or a re-key has failed: without a shell, with JSON on its stdin and "
    "DICE_TEXT, DICE_EVENT, DICE_DEVICE, DICE_GROUP and DICE_COUNT in its environment.",
)
@click.option(
    "--log-format",
    "asked",
    type=click.Choice(["plain", "json", "journal"]),
    help="Form of the printed lines.  [default: journal in a systemd service, else plain]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --log-format json.")
@click.option(
    "--control",
    type=click.Path(dir_okay=False),
    help="Path beside which the control socket is created, for --manager of commands.  [default: REGISTRY; dice.db for a URL]",
)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False),
    help="Key file of an encrypted registry.  [default: systemd's credential dice-key, if there is one]",
)
@click.option("--new", "is_new", is_flag=True, help="Create REGISTRY without asking, if it is a file that does not exist.")
@click.option(
    "--detach", is_flag=True, help="Return as soon as it serves; it goes on in the background, until dicectl manager stop."
)
def run(
    registry,
    port,
    host,
    bind,
    also,
    metrics,
    report_s,
    authorities,
    ca_passphrase_file,
    alert_command,
    asked,
    as_json,
    control,
    key_file,
    is_new,
    detach,
    **paces,
):
    """Serve devices and commands until Ctrl-C, SIGTERM or `dicectl manager stop`. A new REGISTRY is created only if you say so.

    REGISTRY is a file, or the URL of a PostgreSQL database. Several managers may run on one database, on as many computers: one is
    active, and the others wait until it ends, fails or loses the database. One of them takes its place within 10 s then.

    The registry contains the keys of all devices and groups. Keep it on this computer, readable only by its owner, and back it up
    with dicectl manager backup. The manager may be killed at any time: no change that it reported is lost, and when it starts again
    its members are connected again within seconds.

    \b
    Examples:
      dicectl manager run house.db --new
      dicectl manager run house.db --detach --metrics 9684
      dicectl manager run postgresql://dice@db.example.org/dice --host a.example.org --also b.example.org
      dicectl manager run house.db --report-every 2m --alert-command "mail -s dice admin@example.org"
    """
    from dicectl.cli.signing import passphrase_of
    from dicectl.manager.operating import detach as background
    from dicectl.manager.operating import log_format
    from dicectl.manager.operating.alerts import Alerts
    from dicectl.manager.registry import key_file as keys
    from dicectl.manager.registry.opening import is_database
    from dicectl.net.address import host_and_port, own, served
    from dicectl.system import require_unix

    require_unix("the group manager")
    alerts = Alerts(alert_command) if alert_command else None
    control = control or ("dice.db" if is_database(registry) else registry)
    key = keys.load(key_file)
    passphrase = passphrase_of(ca_passphrase_file) if ca_passphrase_file else None
    if not is_database(registry):
        manager_new.admit(registry, key, is_new)
    name = served(host or bind or own())
    if detach:
        background.say(control, *background.start(control), as_json)
        manager_service.hint(name)
        return
    others = [host_and_port(each, port) for each in also]
    chosen = log_format.chosen("json" if as_json else asked)
    options = (control, port, name, others, metrics, chosen, report_s, (authorities, passphrase), alerts, bind, paces)
    try:
        ending.run((_run_shared if is_database(registry) else _run_alone)(registry, key, *options))
    except KeyboardInterrupt:
        pass


@contextlib.contextmanager
def _pages(port, path=None):
    """Serve the pages for monitoring on a port; yield the HttpServer, or None without a port. `path`: of a registry in a file."""
    if not port:
        yield None
        return
    from dicectl.manager.operating.http_server import HttpServer
    from dicectl.manager.operating.metrics import Metrics
    from dicectl.manager.operating.operation_metrics import OperationMetrics
    from dicectl.manager.registry.backup import backup_at

    http = HttpServer(port, Metrics(), OperationMetrics(path and (lambda: backup_at(path))))
    try:
        yield http
    finally:
        http.close()


async def _run_alone(path, key, control, port, host, also, metrics_port, *more):
    """Run on a file, which no other manager can open meanwhile."""
    from dicectl.manager.registry.opening import open_registry

    registry = open_registry(path, key=key)
    try:
        with _pages(metrics_port, path) as http:
            await _run(registry, None, control, port, host, also, http, *more)
    finally:
        registry.close()


async def _run_shared(url, key, control, port, host, also, metrics_port, log_format, *more):
    """Wait until this process leads among those on the database, then run."""
    from dicectl.manager.election.leader import Leader
    from dicectl.manager.operating.standby import Standby, locked
    from dicectl.manager.registry.opening import check_key, open_registry

    check_key(url, key)  # now, and not when this process has to take over
    leader, registry = Leader(url), None
    try:
        with locked(control), _pages(metrics_port) as http:
            standby = Standby(leader, control, {"host": host, "port": port}, log_format, http)
            if await standby.wait():
                registry = await standby.lead(lambda: open_registry(url, key=key, fence=leader.fence))
                await _run(registry, leader, control, port, host, also, http, log_format, *more)
    finally:
        if registry:
            registry.close()
        leader.stop()


async def _run(registry, leader, control, port, host, also, http, log_format, report_s, authorities, alerts, bind, paces):
    from dicectl.manager.operating import process
    from dicectl.manager.operating.dashboard import Dashboard
    from dicectl.manager.service import ManagerService

    service = ManagerService(registry, control, leader, report_s)
    service.updates.also = also
    service.bind = bind
    service.authorities.use(*authorities)
    service.paces = paces
    with Dashboard(service, log_format) as dashboard:
        await process.run(service, port, host, dashboard, http, alerts)


manager_service.take_options(run)
for _command in (
    manager_addresses.addresses,
    manager_audit.audit,
    manager_backup.backup,
    manager_backup.restore,
    manager_certify.certify,
    manager_key.key,
    manager_key.encrypt,
    manager_key.decrypt,
    manager_new.new,
    *manager_service.commands,
):
    command.add_command(_command)
