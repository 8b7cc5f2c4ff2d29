# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager status`, `stop` and `unit`: a manager that runs in the background or as a service."""

import json

import rich_click as click

from dicectl.errors import FAILED, NO_DEVICE, USAGE, CommandError
from dicectl.text import counted

_registry = click.argument("registry", type=click.Path(dir_okay=False), default="dice.db", envvar="DICE_MANAGER")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command()
@_registry
@_json
@click.pass_context
def status(context, registry, as_json):
    """Tell whether a manager runs on REGISTRY, and how it is.

    Exit status: 0 it runs and nothing is wrong, 1 it does not run, or something is wrong.

    \b
    Example:
      dicectl manager status house.db
    """
    from dicectl.manager import control

    try:
        found = control.call(registry, "status")
    except CommandError as failure:
        if failure.exit_code != NO_DEVICE:
            raise
        found = {"role": "stopped", "problems": [failure.format_message()]}
    if as_json:
        click.echo(json.dumps(found))
    else:
        for label, text in _lines(found):
            click.echo(f"{label:9}{text}")
    context.exit(FAILED if found["problems"] else 0)


def _lines(found):
    """Yield (label, text) of what status prints."""
    import datetime

    if found["role"] == "stopped":
        yield "stopped", found["problems"][0]
        return
    since = datetime.datetime.fromtimestamp(found["since"]).isoformat(" ", "seconds")
    yield found["role"], f"since {since}, process {found['pid']}, dice {found['version']}"
    if "waits" in found:
        yield "waits", found["waits"]
        yield "would", f"serve UDP port {found['port']}; devices would connect to {found['host']}"
    else:
        yield from _served(found)
    for problem in found["problems"]:
        yield "problem", problem


def _served(found):
    import datetime

    yield "serves", f"UDP port {found['port']}; devices connect to {found['host']}"
    groups, devices = counted(found["groups"], "group"), counted(found["devices"], "device")
    yield "has", f"{groups}, {devices}: {found['awake']} awake, {found['silent']} silent"
    if "backup" in found:  # not with a database, which has its own
        at = found["backup"] and datetime.datetime.fromtimestamp(found["backup"]).isoformat(" ", "seconds")
        yield "backup", at or "none yet: dicectl manager backup"


@click.command()
@_registry
@_json
def stop(registry, as_json):
    """End the manager that runs on REGISTRY, and wait until it has ended. Groups go on without it until their keys expire.

    \b
    Example:
      dicectl manager stop house.db
    """
    from dicectl.manager import control
    from dicectl.manager.operating import detach

    pid = control.call(registry, "stop")["pid"]
    detach.wait_for_end(pid)
    click.echo(json.dumps({"stopped": pid}) if as_json else f"process {pid} has ended")


@click.command()
@click.argument("registry", default="/var/lib/dice/dice.db")
@click.option("--user", help="Existing user who runs it.  [default: a user of its own, which systemd makes]")
@click.option("--port", type=click.IntRange(1, 65535), default=5684, show_default=True, help="UDP port for devices.")
@click.option("--host", help="Name or address that devices connect to; a name can move to another computer.  [required]")
@click.option("--metrics", type=click.IntRange(1, 65535), default=9684, show_default=True, help="TCP port on loopback for probes.")
@click.option("--key-file", help="Key of an encrypted registry, such as /etc/dice/registry.key, which root alone can read.")
@click.option("--pgpass", help="Password file of PostgreSQL, as ~/.pgpass, such as /etc/dice/pgpass, which root alone can read.")
@click.option("--install", is_flag=True, help="Write it to /etc/systemd/system/dice-manager.service, as root.")
@click.option("--to", "path", type=click.Path(dir_okay=False), help="Write it to another file.")
@click.option("--dry-run", is_flag=True, help="Print the unit and where it would be written; write nothing.")
@click.pass_context
def unit(context, registry, user, port, host, metrics, key_file, pgpass, install, path, dry_run, **_):
    """Print or install a unit of systemd that runs the manager at each start of this computer, shielded from the rest of it.

    Options of dicectl manager run become part of its command. The alert command is shielded like the manager: it cannot write, nor
    get rights, as some mail programs do; curl works.

    \b
    Examples:
      dicectl manager unit --host manager.example.org
      sudo dicectl manager unit --host manager.example.org --report-every 2m --alert-command /usr/local/bin/notify --install
      sudo dicectl manager unit postgresql://dice@db.example.org/dice --pgpass /etc/dice/pgpass --host a.example.org --install
    """
    from pathlib import Path

    from dicectl.manager.operating import systemd_unit

    if not host:
        raise CommandError("name this computer as devices shall find it, also years from now: --host manager.example.org", USAGE)
    hint(host)
    options = {"registry": registry, "user": user, "port": port, "host": host, "metrics": metrics, "key_file": key_file}
    text = systemd_unit.text(**options, pgpass=pgpass, more=_words(context))
    target = path or (systemd_unit.PATH if install else None)
    if target is None or dry_run:
        click.echo(text, nl=False)
        if target:
            click.echo(f"would be written to {target}", err=True)
    else:
        try:
            Path(target).write_text(text)
        except OSError as error:
            raise CommandError(f"cannot write {target}: {error.strerror}; run it as root, or choose a file with --to", USAGE)
        steps = [*systemd_unit.before(registry), "systemctl daemon-reload", f"systemctl enable --now {Path(target).stem}"]
        click.echo("\n  ".join([f"written to {target}; next:", *steps]))
    for note in systemd_unit.notes(user):
        click.echo(f"note: {note}", err=True)


def hint(host):
    """Advise to use a name, in one line, if devices would keep an address."""
    from dicectl.net import address

    if address.hint(host):
        click.echo(address.hint(host), err=True)


_OWN_OF_RUN = ("registry", "port", "host", "metrics", "key_file", "control", "is_new", "detach", "as_json")


def take_options(run):
    """Let `unit` take the options of `run`, the command, that it does not have itself."""
    own = [param for param in run.params if param.name not in _OWN_OF_RUN]
    unit.params += own
    unit.of_run = own


def _words(context):
    """Return the options of `run` that were given, as words of its command; raises CommandError if it would refuse them."""
    from dicectl.manager.operating.alerts import Alerts
    from dicectl.net.address import host_and_port

    words = []
    for param in unit.of_run:
        value = context.params[param.name]
        if value is None or value == param.get_default(context) or value == ():
            continue
        for each in value if param.multiple else (value,):
            words += [param.opts[0], f"{each}s" if param.name == "report_s" else str(each)]
    for each in context.params["also"]:
        host_and_port(each, 1)
    if context.params["alert_command"]:
        Alerts(context.params["alert_command"])
    return words


@click.command()
def rules():
    """Print alert rules for Prometheus, as YAML. docs/operating.md has for each alert what to do.

    \b
    Example:
      dicectl manager rules > /etc/prometheus/dice.yml
    """
    _print_file("alerts.yml")


@click.command()
def dashboard():
    """Print a dashboard for Grafana, as JSON to import.

    \b
    Example:
      dicectl manager dashboard > dice.json
    """
    _print_file("dashboard.json")


def _print_file(name):
    from dicectl import resources

    click.echo((resources.MONITORING / name).read_text(), nl=False)


commands = (status, stop, unit, rules, dashboard)
