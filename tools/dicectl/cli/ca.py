# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl ca`: a local certificate authority for devices and servers."""

import json
import time

import rich_click as click

from dicectl.cli.options import Period
from dicectl.cli.signing import ask, opened, passphrase_of
from dicectl.manager.certificate_words import day as _day

_dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_passphrase_file = click.option(
    "--passphrase-file", type=click.Path(dir_okay=False), help="File whose first line is the passphrase of the authority's key."
)


@click.group("ca")
def command():
    """Keep a certificate authority, and sign the keys of devices and servers.

    An authority is a folder. Its `ca.pem`, in DER `ca.der`, is the trust anchor that devices get; its `ca.key` must stay on this
    computer. A device makes its key itself, and shows its public key, which `sign` certifies. Certificates follow RFC 7925, and
    have about 400 bytes.

    \b
    Example:
      dicectl ca new home-ca
      dicectl ca sign home-ca lamp.pub --name 00-12-4B-00-14-B5-D9-A7
      dicectl ca list home-ca
      dicectl ca revoke home-ca 00-12-4B-00-14-B5-D9-A7
    """


@command.command()
@click.argument("folder", type=click.Path())
@click.option("--name", help="Common name of the authority; it is part of each certificate.  [default: the folder's name]")
@click.option("--lifetime", type=Period(), default="7300d", show_default=True, help="How long it is valid: 3650d.")
@click.option("--under", type=click.Path(file_okay=False), metavar="CA", help="Folder of the authority that certifies it.")
@click.option(
    "--path-length", type=click.IntRange(0, 3), help="With --under: how many authorities may follow it on a path.  [default: 0]"
)
@click.option("--encrypt", is_flag=True, help="Ask for a passphrase, and encrypt the key with it.")
@_passphrase_file
@click.option("--under-passphrase-file", type=click.Path(dir_okay=False), help="The same, for the key of the authority above.")
@_dry_run
@_as_json
def new(folder, name, lifetime, under, path_length, encrypt, passphrase_file, under_passphrase_file, dry_run, as_json):
    """Create an authority in a new folder, readable only by its owner.

    One under another signs in its place: the key of the one at the top, which devices trust, can stay off this computer.

    \b
    Examples:
      dicectl ca new home-ca --encrypt
      dicectl ca new devices-ca --under home-ca
    """
    from pathlib import Path

    from dicectl.errors import USAGE, CommandError
    from dicectl.manager import authority

    if not under and (path_length is not None or under_passphrase_file):
        raise CommandError("--path-length and --under-passphrase-file are for an authority under another: give --under CA", USAGE)
    name = name or Path(folder).absolute().name
    if not name.isprintable():
        raise CommandError(f"{name} cannot be the name of an authority: choose one with --name", USAGE)
    above = None
    if under:
        found = (authority.Authority(under), None) if dry_run else opened(under, under_passphrase_file, "--under-passphrase-file")
        above = *found, path_length or 0
    passphrase = None
    if passphrase_file:
        passphrase = passphrase_of(passphrase_file)
    elif encrypt and not dry_run:
        passphrase = ask("Passphrase of the new key", "--passphrase-file", confirmation_prompt=True)
    if dry_run:
        click.echo(f"would create  {folder}: authority {name}" + (f" under {under}" if under else ""))
        return
    certificate = authority.new(folder, name, lifetime, passphrase, under=above)
    pem, der = (authority.ANCHOR, authority.ANCHOR_DER) if under else (authority.CERTIFICATE, authority.DER)
    anchor = str(Path(folder) / pem)
    if as_json:
        click.echo(json.dumps({"folder": folder, "name": name, "anchor": anchor, "encrypted": bool(passphrase)}))
        return
    end = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    click.echo(f"{folder}: authority {name}, valid until {end}; devices trust {anchor}, or {der} beside it")
    click.echo(f"next: dicectl ca sign {folder} PUBLIC_KEY --name NAME")


@command.command()
@click.argument("folder", type=click.Path())
@click.argument("key", type=click.Path(dir_okay=False))
@click.option("--name", required=True, help="EUI-64 (00-12-4B-00-14-B5-D9-A7), DNS name or IP address of its owner.")
@click.option(
    "--usage", type=click.Choice(["client", "server", "both"]), default="both", show_default=True, help="Role of its owner."
)
@click.option(
    "--lifetime", type=Period(), default="730d", show_default=True, help="How long it is valid; not longer than the authority."
)
@click.option("--no-expiry", is_flag=True, help="It does not expire: for a device that nobody will visit again.")
@click.option(
    "--out", type=click.Path(dir_okay=False), help="File to write; DER if it ends with .der, else PEM.  [default: NAME.pem]"
)
@click.option("--force", is_flag=True, help="Replace the file.")
@_passphrase_file
@_dry_run
@_as_json
def sign(folder, key, name, usage, lifetime, no_expiry, out, force, passphrase_file, dry_run, as_json):
    """Certify that a public key belongs to a name.

    KEY is a file with a public key on P-256 (PEM, DER, or the point in hex) or a certificate signing request, of which only the key
    is used. A public key alone does not prove that somebody has the private one; the handshake does.

    \b
    Examples:
      dicectl ca sign home-ca lamp.pub --name 00-12-4B-00-14-B5-D9-A7 --usage client
      dicectl ca sign home-ca manager.csr --name manager.home.arpa --usage server --out manager.pem
    """
    from dicectl.manager import authority

    own = authority.Authority(folder)
    public, proved = authority.public_key(key)
    usages = ("client", "server") if usage == "both" else (usage,)
    out = out or f"{name.replace(':', '-')}.pem"
    others = [entry for entry in own.list() if entry["name"].lower() == name.lower() and entry["revoked"] is None]
    others = [entry for entry in others if entry["key"] != authority.fingerprint(public) and entry["not_after"] > time.time()]
    if dry_run:
        authority.general_name(name)
        click.echo(f"would sign  {key} as {name} ({', '.join(usages)}), and write {out}")
        return
    _, passphrase = opened(folder, passphrase_file, "--passphrase-file")
    made = own.sign(public, name, usages, None if no_expiry else lifetime, passphrase, out, force)
    length = len(made.public_bytes(authority.serialization.Encoding.DER))
    if as_json:
        said = {"serial": f"{made.serial_number:016x}", "name": name, "file": out, "bytes": length, "proved": proved}
        click.echo(json.dumps(said))
    else:
        end = _day(made.not_valid_after_utc.timestamp())
        click.echo(f"{out}: {name}, serial {made.serial_number:016x}, {length} bytes, expires {end}")
    if own.issuers and out.endswith(".der"):
        click.echo(f"note: {out} is alone: who verifies it needs those in {folder}/{authority.CHAIN} behind it", err=True)
    for entry in others:
        click.echo(f"note: {name} has another key, certified too: dicectl ca revoke {folder} {entry['serial']}", err=True)


@command.command("list")
@click.argument("folder", type=click.Path())
@click.option("--revoked", is_flag=True, help="Only what is revoked.")
@_as_json
def list_(folder, revoked, as_json):
    """List the certificates of an authority; with --json the certificates themselves too.

    \b
    Example:
      dicectl ca list home-ca
    """
    from dicectl.cli.table import print_table
    from dicectl.manager import authority

    entries = [entry for entry in authority.Authority(folder).list() if not revoked or entry["revoked"] is not None]
    if as_json:
        click.echo(json.dumps(entries))
        return
    rows = []
    for entry in entries:
        state = "valid" if entry["not_after"] > time.time() else "expired"
        state = state if entry["revoked"] is None else f"revoked {_day(entry['revoked'])}"
        rows.append([entry["name"], entry["serial"], "+".join(entry["usages"]), _day(entry["not_after"]), state])
    print_table(["name", "serial number", "usage", "expires", "state"], rows, text_columns=5)


@command.command()
@click.argument("folder", type=click.Path())
@click.argument("which")
@_dry_run
@_as_json
def revoke(folder, which, dry_run, as_json):
    """Revoke a certificate, by its serial number, or all certificates of a name.

    The authority records it durably, for whoever reads its list: a manager that was given this folder (dicectl manager run --ca)
    expels the device within seconds. Devices ask no authority (RFC 7925, section 4.4.3): for them a certificate works until it
    expires. End a device of another manager with `dicectl provision wipe` as well.

    \b
    Example:
      dicectl ca revoke home-ca 00-12-4B-00-14-B5-D9-A7
    """
    from dicectl.manager import authority

    own = authority.Authority(folder)
    if dry_run:
        wanted = which.lower()
        done = [entry for entry in own.list() if wanted in (entry["serial"], entry["name"].lower()) and entry["revoked"] is None]
    else:
        done = own.revoke(which)
    if as_json:
        click.echo(json.dumps([entry["serial"] for entry in done]))
        return
    for entry in done:
        click.echo(f"{'would revoke' if dry_run else 'revoked'}  {entry['serial']}  {entry['name']}")
    if not done:
        click.echo("nothing to do: no certificate that is not revoked yet")
