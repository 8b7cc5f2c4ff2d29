# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl ca`: what it signs is verified by dice and by OpenSSL, its key stays private, and no serial number is used twice."""

import base64
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from dice.codes import USAGE_CLIENT, USAGE_SERVER
from dice.dtls.kx_cert import Certificate
from dice.dtls.kx_cert_server import CertificateServer
from dice.errors import PeerError
from dice.x509.chain import Trust, verify
from dicectl.__main__ import cli
from dicectl.errors import CommandError
from dicectl.manager import authority
from host_tests import certificates
from host_tests.certificates import Key
from host_tests.portable.dtls_pair import pair, settle

EUI64 = "00-12-4B-00-14-B5-D9-A7"
NOW = certificates.NOW


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a command in an empty folder, in which lamp.pub is a public key."""
    monkeypatch.chdir(tmp_path)
    Path("lamp.pub").write_bytes(Key("lamp").public_pem)

    def run(*arguments, status=0, **options):
        done = CliRunner().invoke(cli, ["ca", *arguments], **options)
        assert done.exit_code == status, (done.output, done.exception)
        return done.output

    return run


@pytest.fixture
def home(tmp_path):
    """Return an authority."""
    authority.new(tmp_path / "home", "home", now=NOW)
    return authority.Authority(tmp_path / "home")


def anchor(folder):
    return x509.load_pem_x509_certificate((Path(folder) / "ca.pem").read_bytes()).public_bytes(Encoding.DER)


def der(certificate):
    return certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (EUI64, EUI64), ("lamp.home.arpa", "lamp.home.arpa"), ("Lamp-1", "lamp-1"), ("192.0.2.7", bytes((192, 0, 2, 7))),
        ("2001:db8::7", bytes.fromhex("20010db8000000000000000000000007")),
    ],
)  # fmt: skip
def test_what_it_signs_is_short_and_is_verified_by_dice_and_by_openssl(run, name, expected):
    run("new", "home")
    said = json.loads(run("sign", "home", "lamp.pub", "--name", name, "--usage", "server", "--out", "lamp.pem", "--json"))
    made = x509.load_pem_x509_certificate(Path("lamp.pem").read_bytes())
    assert said["bytes"] == len(der(made)) < 400 and said["serial"] == f"{made.serial_number:016x}"
    now = int(made.not_valid_before_utc.timestamp()) + 7200
    leaf = verify([der(made)], Trust([anchor("home")]), expected, now, USAGE_SERVER)
    assert leaf.point == Key("lamp").point
    with pytest.raises(PeerError):
        verify([der(made)], Trust([anchor("home")]), None, now, USAGE_CLIENT)
    check = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "home/ca.pem", "lamp.pem"]
    assert subprocess.run(check, capture_output=True, text=True).stdout == "lamp.pem: OK\n"


def test_a_handshake_with_certificates_of_an_authority(home):
    """A device is known by its EUI-64, a server by its name."""
    public = {name: Key(name).own.public_key() for name in ("lamp", "manager")}
    lamp = der(home.sign(public["lamp"], EUI64, ["client"], now=NOW))
    manager = der(home.sign(public["manager"], "manager.home.arpa", ["server"], now=NOW))
    trust = Trust([der(home.certificate)])
    ours = Certificate(Key("lamp").private, [lamp], trust, "manager.home.arpa", clock=lambda: NOW)
    theirs = CertificateServer(Key("manager").private, [manager], trust, clock=lambda: NOW)
    sessions = pair(psk=ours, lookup=theirs)
    settle(*sessions)
    assert [session.identity for session in sessions] == [b"manager.home.arpa", EUI64.lower().encode()]
    swapped = Certificate(Key("manager").private, [manager], trust, "manager.home.arpa", clock=lambda: NOW)
    sessions = pair(psk=swapped, lookup=theirs)
    settle(*sessions)
    assert sessions[1].error.alert == 43


def test_an_eui64_is_where_rfc_7925_and_where_its_successor_has_it(home):
    made = home.sign(Key("lamp").own.public_key(), EUI64.lower(), ["client"], now=NOW)
    assert made.subject.rfc4514_string() == f"2.5.4.5={EUI64}"
    leaf = verify([der(made)], Trust([der(home.certificate)]), None, NOW, USAGE_CLIENT)
    assert leaf.names == [EUI64.lower().encode()]


def test_only_the_owner_can_read_the_key_and_no_other_key_is_used(run):
    run("new", "home")
    assert stat.S_IMODE(os.stat("home").st_mode) == 0o700
    assert stat.S_IMODE(os.stat("home/ca.key").st_mode) == 0o600
    os.chmod("home/ca.key", 0o640)
    assert "can be read or written by others" in run_fails(run, "sign", "home", "lamp.pub", "--name", "lamp")
    assert not Path("lamp.pem").exists() and not authority.Authority("home").list()


def run_fails(run, *arguments):
    """Return the message of a command that is wrong usage."""
    with pytest.raises(CommandError) as raised:
        cli.main(["ca", *arguments], standalone_mode=False)
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_a_passphrase_comes_from_a_prompt_or_a_file(run):
    run("new", "home", "--encrypt", input="a secret\na secret\n")
    assert b"ENCRYPTED" in Path("home/ca.key").read_bytes()
    private = Path("home.secret")
    private.write_text("a secret\n")
    sign = ("sign", "home", "lamp.pub", "--passphrase-file", "home.secret", "--name")
    assert "can be read or written by others" in run_fails(run, *sign, "a")
    private.chmod(0o600)
    run(*sign, "a")
    run("sign", "home", "lamp.pub", "--name", "b", input="a secret\n")
    private.write_text("another\n")
    assert "not decrypted" in run_fails(run, *sign, "c")
    assert [entry["name"] for entry in authority.Authority("home").list()] == ["a", "b"]
    assert "a secret" not in Path("home/certificates.jsonl").read_text()


@pytest.mark.parametrize("command", ["new", "sign", "under"])
def test_without_a_terminal_the_option_for_a_file_is_named_in_one_line(run, command):
    """It was four lines of GetPassWarning, and a prompt."""
    run("new", "home", "--encrypt", input="a secret\na secret\n")
    arguments, option = {
        "new": (("new", "other", "--encrypt"), "--passphrase-file"),
        "sign": (("sign", "home", "lamp.pub", "--name", "a"), "--passphrase-file"),
        "under": (("new", "other", "--under", "home"), "--under-passphrase-file"),
    }[command]
    argv = [sys.executable, "-m", "dicectl", "ca", *arguments]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert "no terminal" in done.stderr and done.stderr.endswith(f" {option}\n")


def request(key, name="whatever"):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder(subject).sign(key.own, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_key_comes_as_pem_der_hex_or_request(tmp_path):
    lamp = Key("lamp")
    forms = {
        "pem": lamp.public_pem, "der": lamp.spki, "hex": lamp.point.hex().encode() + b"\n", "csr": request(lamp),
        "pem-csr": certificates.pem(request(lamp), "CERTIFICATE REQUEST"),
    }  # fmt: skip
    for form, data in forms.items():
        (tmp_path / form).write_bytes(data)
        public, proved = authority.public_key(tmp_path / form)
        assert (authority.fingerprint(public), proved) == (lamp.identity.hex(), "csr" in form)


def test_other_keys_are_refused(tmp_path):
    lamp = Key("lamp")
    broken = bytearray(request(lamp))
    broken[-1] ^= 1
    wrong = {
        "private key": lamp.pem(),
        "wrong signature": bytes(broken),
        "no public key on P-256": Key("384", certificates.ec.SECP384R1()).spki,
        "no public key": certificates.off_the_curve(lamp.point).hex().encode(),
        "neither": b"",
    }
    for what, data in wrong.items():
        (tmp_path / "key").write_bytes(data)
        with pytest.raises(CommandError, match=what):
            authority.public_key(tmp_path / "key")


@pytest.mark.parametrize("name", ["*.test", "a..b", "", "-a.test", "a b", "1.2.3", "x" * 64, "é", "fe80::1%eth0"])
def test_other_names_are_refused(name):
    with pytest.raises(CommandError, match="without wildcards"):
        authority.general_name(name)


def test_list_and_revoke(run):
    run("new", "home")
    for name in ("a", "b"):
        run("sign", "home", "lamp.pub", "--name", name)
    first, second = json.loads(run("list", "home", "--json"))
    assert base64.b64decode(first["certificate"]) == der(x509.load_pem_x509_certificate(Path("a.pem").read_bytes()))
    assert run("revoke", "home", "a", "--dry-run").split() == ["would", "revoke", first["serial"], "a"]
    assert json.loads(run("list", "home", "--revoked", "--json")) == []
    assert json.loads(run("revoke", "home", "A", "--json")) == [first["serial"]]
    assert "nothing to do" in run("revoke", "home", first["serial"])
    (entry,) = json.loads(run("list", "home", "--revoked", "--json"))
    assert (entry["serial"], entry["key"]) == (first["serial"], Key("lamp").identity.hex())
    assert [line.split()[-2:] for line in run("list", "home").splitlines()[1:]][1][-1] == "valid"
    assert [entry["name"] for entry in json.loads(run("list", "home", "--revoked", "--json"))] == ["a"]
    with pytest.raises(CommandError, match="no certificate has"):
        cli.main(["ca", "revoke", "home", "c"], standalone_mode=False)
    assert second["revoked"] is None


def test_a_file_is_replaced_only_by_force_and_another_key_is_noted(run):
    run("new", "home")
    run("sign", "home", "lamp.pub", "--name", "a")
    assert "a.pem exists" in run_fails(run, "sign", "home", "lamp.pub", "--name", "a")
    assert len(authority.Authority("home").list()) == 1
    Path("new.pub").write_bytes(Key("new").public_pem)
    assert "note: a has another key" in run("sign", "home", "new.pub", "--name", "a", "--force")


def test_nothing_expires_later_than_the_authority_unless_it_never_does(home, tmp_path):
    public = Key("lamp").own.public_key()
    long = home.sign(public, "a", ["server"], lifetime_s=9000 * 86_400, now=NOW)
    assert long.not_valid_after_utc == home.certificate.not_valid_after_utc
    forever = home.sign(public, "a", ["server"], lifetime_s=None, now=NOW)
    assert forever.not_valid_after_utc.year == 9999
    with pytest.raises(CommandError, match="the authority itself has expired"):
        home.sign(public, "a", ["server"], now=NOW + 7301 * 86_400)


def test_no_serial_number_is_used_twice_by_several_processes(home):
    (home.folder.parent / "lamp.pub").write_bytes(Key("lamp").public_pem)
    code = (
        "from dicectl.manager.authority import Authority, public_key\n"
        "for i in range(8): Authority('home').sign(public_key('lamp.pub')[0], f'lamp-{i}', ['client'])"
    )
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: subprocess.run([sys.executable, "-c", code], cwd=home.folder.parent), range(3)))
    assert [process.returncode for process in done] == [0] * 3
    assert len({entry["serial"] for entry in home.list()}) == 24


def test_serial_numbers_that_were_used_are_drawn_again(home, monkeypatch):
    drawn = iter([5, 5, 5, 6])
    monkeypatch.setattr(authority.secrets, "randbits", lambda _: next(drawn))
    public = Key("lamp").own.public_key()
    assert [home.sign(public, "a", ["client"], now=NOW).serial_number & 0xFF for _ in range(2)] == [5, 6]


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_crash_while_a_line_is_written_leaves_what_was_there_before(home, kept):
    public = Key("lamp").own.public_key()
    home.sign(public, "a", ["client"], now=NOW)
    log = home.folder / "certificates.jsonl"
    whole = log.read_bytes()
    home.sign(public, "b", ["client"], now=NOW)
    line = log.read_bytes()[len(whole) :]
    log.write_bytes(whole + line[:kept])
    assert [entry["name"] for entry in home.list()] == ["a"]
    home.sign(public, "c", ["client"], now=NOW)
    assert [entry["name"] for entry in home.list()] == ["a", "c"]


def test_a_disk_that_is_full_issues_nothing(home, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    public = Key("lamp").own.public_key()
    monkeypatch.setattr(authority.os, "fsync", full)
    with pytest.raises(CommandError, match="No space left"):
        home.sign(public, "a", ["client"], out=tmp_path / "a.pem", now=NOW)
    assert not (tmp_path / "a.pem").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []


def test_a_damaged_log_is_refused(home):
    (home.folder / "certificates.jsonl").write_bytes(b"{}\nno json\n")
    with pytest.raises(CommandError, match=r"line 2 of .*certificates.jsonl is .*damaged: .*; restore it from a backup"):
        home.sign(Key("lamp").own.public_key(), "a", ["client"], now=NOW)


def test_dry_runs_change_nothing(run):
    run("new", "home", "--dry-run")
    assert not Path("home").exists()
    run("new", "home")
    assert "would sign" in run("sign", "home", "lamp.pub", "--name", "a", "--dry-run")
    assert not Path("a.pem").exists() and authority.Authority("home").list() == []
    assert "give a folder that does not exist" in run_fails(run, "new", "home")
