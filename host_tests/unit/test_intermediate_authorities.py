# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl ca new --under`: authorities below another, whose chains dice, OpenSSL and a group manager verify, renew and revoke."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from dice.codes import USAGE_SERVER
from dice.errors import PeerError
from dice.limits import CERTIFICATES_MAX
from dice.x509.chain import Trust, verify
from dicectl.errors import CommandError
from dicectl.manager import authorities, authority
from host_tests import certificates
from host_tests.unit import test_device_updates
from host_tests.unit.test_ca_command import run
from host_tests.unit.test_certificates_of_devices import certificate
from host_tests.unit.test_device_updates import run as run_town
from host_tests.unit.test_raw_keys_of_a_town import refused
from host_tests.unit.test_revoked_certificates import SOON_S
from host_tests.unit.test_revoked_certificates import Town as RevokingTown

__all__ = ["run"]
NOW = certificates.NOW


def ders(path):
    """Return the certificates in a file in PEM, DER."""
    return [each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(Path(path).read_bytes())]


@pytest.fixture
def tree(run):
    """Return the function that runs commands; there are `root`, `middle` under it, and `low` under that."""
    run("new", "root")
    run("new", "middle", "--under", "root", "--path-length", "1")
    said = json.loads(run("new", "low", "--under", "middle", "--json"))
    assert said["anchor"] == "low/anchor.pem"
    return run


def test_a_chain_leads_to_the_anchor_for_dice_and_for_openssl(tree):
    tree("sign", "low", "lamp.pub", "--name", "lamp.home.arpa", "--usage", "server", "--out", "lamp.pem")
    chain = ders("lamp.pem")
    (anchor,) = ders("low/anchor.pem")
    assert len(chain) == 3 and chain[1:] == ders("low/chain.pem") and [anchor] == ders("root/ca.pem")
    now = x509.load_der_x509_certificate(chain[0]).not_valid_before_utc.timestamp() + 3600
    for sent in (chain, [*chain, anchor]):
        assert verify(sent, Trust([anchor]), "lamp.home.arpa", now, USAGE_SERVER).names == [b"lamp.home.arpa"]
    for sent in (chain[:2], chain[:1], [chain[0], chain[2]]):
        with pytest.raises(PeerError):
            verify(sent, Trust([anchor]), "lamp.home.arpa", now, USAGE_SERVER)
    check = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        "low/anchor.pem",
        "-untrusted",
        "low/chain.pem",
    ]
    assert subprocess.run([*check, "lamp.pem"], capture_output=True, text=True).stdout == "lamp.pem: OK\n"
    assert "low/chain.pem behind it" in tree("sign", "low", "lamp.pub", "--name", "lamp.home.arpa", "--out", "lamp.der")
    assert x509.load_der_x509_certificate(Path("lamp.der").read_bytes()).issuer.rfc4514_string() == "CN=low"


def test_a_path_length_is_kept(tree):
    """By `ca` itself, and by those who verify what another program has signed with the key of an authority."""
    with pytest.raises(CommandError, match="path length 0: its own is 0"):
        authority.new("below", "below", under=(authority.Authority("low"), None, 0))
    with pytest.raises(CommandError, match="path length 1: its own is 1"):
        authority.new("below", "below", under=(authority.Authority("middle"), None, 1))
    assert not Path("below").exists()
    low = authority.Authority("low")
    signer = low._signer(None)
    public = x509.load_der_x509_certificate(certificates.Authority("below").der).public_key()
    start, end = low.certificate.not_valid_before_utc, low.certificate.not_valid_after_utc
    builder = authority._authority(public, "below", None, ("low", 1 << 62, start, end))
    below = builder.sign(signer, authority.hashes.SHA256())
    leaf = certificates.Authority("below").issue("dns:lamp.test", usage="server")
    path = [leaf.der, below.public_bytes(Encoding.DER), *ders("low/chain.pem")]
    assert verify(path[:2], Trust([path[1]]), "lamp.test", None, USAGE_SERVER)
    with pytest.raises(PeerError) as failed:
        verify(path, Trust(ders("root/ca.pem")), "lamp.test", None, USAGE_SERVER)
    assert failed.value.alert == 48


def test_what_makes_no_sense_is_refused_and_leaves_nothing(tree, tmp_path):
    for arguments, status in (
        (("new", "again", "--under", "nowhere"), 2),
        (("new", "again", "--path-length", "1"), 2),
        (("new", "again", "--under", "low"), 2),
        (("new", "again", "--name", "root", "--under", "middle"), 2),
        (("new", "low", "--under", "middle"), 2),
    ):
        tree(*arguments, status=status)
    assert not Path("again").exists() and len(authority.Authority("middle").list()) == 1
    assert "under middle" in tree("new", "again", "--under", "middle", "--dry-run")
    assert not Path("again").exists() and len(authority.Authority("middle").list()) == 1


def test_a_chain_has_no_more_certificates_than_others_accept(tmp_path):
    authority.new(tmp_path / "0", "0", now=NOW)
    for number in range(1, CERTIFICATES_MAX):
        above = authority.Authority(tmp_path / str(number - 1))
        authority.new(tmp_path / str(number), str(number), now=NOW, under=(above, None, CERTIFICATES_MAX - number))
    low = authority.Authority(tmp_path / str(number))
    made = low.sign(low.certificate.public_key(), "lamp.test", ("server",), now=NOW)
    chain = [bytes.fromhex(each) for each in low.chain(made)]
    assert len(chain) == CERTIFICATES_MAX
    assert verify(chain, Trust([low.anchor.public_bytes(Encoding.DER)]), "lamp.test", NOW, USAGE_SERVER)
    with pytest.raises(CommandError, match="a chain has at most"):
        authority.new(tmp_path / "deeper", "deeper", now=NOW, under=(low, None, 0))


def test_the_passphrases_of_both_are_asked_for(run):
    run("new", "root", "--encrypt", input="above\nabove\n")
    run("new", "middle", "--under", "root", "--encrypt", input="above\nbelow\nbelow\n")
    run("new", "other", "--under", "root", input="wrong\n", status=2)
    assert not Path("other").exists()
    run("sign", "middle", "lamp.pub", "--name", "lamp", "--out", "lamp.pem", input="below\n")
    assert len(ders("lamp.pem")) == 2


class Town(RevokingTown):
    """A town whose authority is two below the one that the manager and its devices trust."""

    def create_ca(self):
        self.root = self.folder / "root"
        authority.new(self.root, "root", now=self.wall())
        authority.new(self.folder / "middle", "middle", now=self.wall(), under=(authority.Authority(self.root), None, 1))
        authority.new(self.ca, "low", now=self.wall(), under=(authority.Authority(self.folder / "middle"), None, 0))

    async def start(self):
        await super().start()
        self.service.authorities.use([self.ca, self.folder / "middle", self.folder / "root"])


@pytest.fixture
def town(monkeypatch):
    async def look(_, revoked):
        revoked.look()  # virtual time knows no threads

    monkeypatch.setattr(test_device_updates, "Town", Town)
    monkeypatch.setattr(authorities.Authorities, "_look", look)


@pytest.mark.parametrize("revoker, name", [("ca", "signed-1"), ("middle", "low"), ("root", "middle")])
def test_a_manager_serves_devices_below_until_one_of_the_chain_is_revoked(tmp_path, town, revoker, name):
    async def scenario(town):
        node, raw = town.add("signed-1"), town.add("raw")
        await asyncio.sleep(15)
        assert set(town.service.kdc.connected) == {node.identity, raw.identity} and len(node.stored["chain"]) == 3
        authority.Authority(town.folder / revoker).revoke(name, now=town.wall())
        await asyncio.sleep(SOON_S)
        assert node.coap.ended and set(town.service.kdc.connected) == {raw.identity}
        assert node.identity not in town.state.members
        await refused(town, certificate(node.stored))
        if revoker != "ca":
            with pytest.raises(CommandError, match="is revoked"):
                town.made("provision", "signed-2", groups={})

    run_town(tmp_path, scenario)


def test_what_is_renewed_has_its_issuers_too(tmp_path):
    authority.new(tmp_path / "root", "root", now=NOW)
    authority.new(tmp_path / "low", "low", now=NOW, under=(authority.Authority(tmp_path / "root"), None, 0))
    low = authority.Authority(tmp_path / "low")
    public = low.certificate.public_key()
    low.sign(public, "lamp.test", ("client",), 9000, now=NOW)
    local = authorities.LocalAuthority(tmp_path / "low")
    local.look()
    chain = local.renew(authority.fingerprint(public), NOW + 9000, "client", None, NOW + 6000)
    assert len(chain) == 2 and bytes.fromhex(chain[1]) == ders(tmp_path / "low" / "ca.pem")[0]
