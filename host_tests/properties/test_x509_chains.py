# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Chains at random, of none to four issuers with any mistakes together, decided by a model written once more from RFC 5280 and
RFC 7925, and by the verifier of `cryptography`. More by DICE_SEEDS=0:1000.
"""

import datetime
import random

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from dice.codes import USAGE_CLIENT, USAGE_SERVER
from dice.errors import PeerError
from dice.x509.chain import Trust, verify
from host_tests import certificates
from host_tests.certificates import EXPIRED, NOT_YET, NOW, Key
from host_tests.seeds import search

TIMES = {"now": {}, "expired": EXPIRED, "not yet": NOT_YET}
KEYS = [Key(f"chain {number}") for number in range(8)]
NAMES = ("dns:node.test", "dns:other.test", "ip:192.0.2.7")


def mostly(chance, right, *wrong):
    """Return `right`, or sometimes something else."""
    return right if chance.random() < 0.96 else chance.choice(wrong)


class One:
    """A certificate of a chain: what it says."""

    def __init__(self, chance, above, is_leaf):
        self.above = above
        self.is_leaf = is_leaf
        self.ca = mostly(chance, not is_leaf, is_leaf)
        right = ("digital_signature",) if is_leaf else ("key_cert_sign", "crl_sign")
        self.key_usage = mostly(chance, right, None, ("key_agreement",), ("digital_signature", "key_cert_sign"))
        leaf_usages = chance.choice((("server", "client"), ("server",), ("client",), None))
        self.usages = mostly(chance, leaf_usages if is_leaf else None, ("server",), ("client",), ("code",), None)
        self.path_length = chance.choice((None, None, None, 0, 1, 2, 3)) if self.ca else None
        self.time = mostly(chance, "now", "expired", "not yet")
        self.broken = mostly(chance, False, True)
        self.unknown = mostly(chance, chance.choice((None, "other")), "critical")
        self.key = KEYS[KEYS.index(above.key) + 1 if above else 0]  # each has its own: there is no other path
        # An issuer can be self-issued, when it changes its key; a leaf has a name of its own.
        self.subject = (
            above.subject if above and not is_leaf and chance.random() < 0.25 else certificates._subject(f"{chance.random()}")
        )
        self.issuer = above.subject if above else self.subject
        self.names = chance.sample(NAMES, chance.randrange(4)) if is_leaf else ()
        self.der = certificates.certificate(
            self.key,
            self.subject,
            above.key if above else self.key,
            self.issuer,
            authority=self.ca,
            key_usage=self.key_usage,
            usages=self.usages,
            path_length=self.path_length,
            broken=self.broken,
            unknown=self.unknown,
            names=self.names,
            basic=self.ca or not is_leaf,
            **TIMES[self.time],
        )

    def __repr__(self):
        """Return what matters, to be shown when a test fails."""
        said = {name: value for name, value in vars(self).items() if name not in ("above", "der", "key", "subject", "issuer")}
        return f"{said} {'self-issued' if self.subject == self.issuer else ''}"

    def is_right(self, usage, below):
        """Return whether it may be in a path for this usage, with so many issuers below it that are not self-issued."""
        what = "server" if usage == USAGE_SERVER else "client"
        if self.time != "now" or self.unknown == "critical" or (self.usages and what not in self.usages):
            return False
        if not self.ca and self.key_usage and "key_cert_sign" in self.key_usage:
            return False
        if self.is_leaf:
            return not self.ca and (self.key_usage is None or "digital_signature" in self.key_usage)
        may = self.key_usage is None or "key_cert_sign" in self.key_usage
        return self.ca and may and (self.path_length is None or below <= self.path_length)


def model(path, name, usage):
    """Return whether a path, the anchor first, is to be believed."""
    below = 0
    for one in reversed(path):
        if not one.is_right(usage, below):
            return False
        if one.broken and one.above:  # the signature of an anchor is not looked at
            return False
        below += not one.is_leaf and one.subject != one.issuer
    leaf = path[-1]
    return any(each.startswith("dns:") for each in leaf.names) if usage == USAGE_CLIENT else name in leaf.names


def ours(path, name, usage):
    """Return whether we believe it."""
    expected = name[4:] if name.startswith("dns:") else bytes((192, 0, 2, 7))
    chain = [one.der for one in path[:0:-1]]
    try:
        leaf = verify(chain, Trust([path[0].der]), None if usage == USAGE_CLIENT else expected, NOW, usage)
    except PeerError:
        return False
    assert leaf.der == path[-1].der
    return True


def cryptography(path, name, usage):
    """Return whether the package believes it."""
    try:
        anchor, *chain = (x509.load_der_x509_certificate(one.der) for one in path)
        at = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)
        policy = PolicyBuilder().store(Store([anchor])).time(at)
        if usage == USAGE_CLIENT:
            policy.build_client_verifier().verify(chain[-1], chain[:-1])
        else:
            server = (
                x509.DNSName(name[4:]) if name.startswith("dns:") else x509.IPAddress(certificates.ipaddress.ip_address(name[3:]))
            )
            policy.build_server_verifier(server).verify(chain[-1], chain[:-1])
    except (ValueError, x509.verification.VerificationError):
        return False
    return True


def explained(path, usage, they_believe):
    """Return whether the package is known to decide otherwise; see the tables of test_x509."""
    leaf, issuers = path[-1], path[:-1]
    if they_believe:
        # It does not look at KeyUsage of a leaf, and a client needs no DNS name.
        may_not_sign = leaf.key_usage is not None and "digital_signature" not in leaf.key_usage
        return may_not_sign or (usage == USAGE_CLIENT and not any(each.startswith("dns:") for each in leaf.names))
    # It wants a KeyUsage of each issuer, and counts issuers that are self-issued (RFC 5280, section 4.2.1.9, does not).
    counted = any(one.path_length is not None for one in issuers) and any(one.subject == one.issuer for one in issuers[1:])
    return counted or any(one.key_usage is None for one in issuers)


def test_chains_at_random_are_decided_as_a_model_and_cryptography_do():
    def run(seed):
        chance = random.Random(seed)
        done = {"both accept": 0, "both refuse": 0, "explained": 0}
        for number in range(120):
            path = [One(chance, None, False)]
            for _ in range(chance.randrange(5)):
                path.append(One(chance, path[-1], False))
            path.append(One(chance, path[-1], True))
            name = chance.choice(path[-1].names or NAMES)
            usage = chance.choice((USAGE_SERVER, USAGE_CLIENT))
            mine = ours(path, name, usage)
            assert mine == model(path, name, usage), (number, path, usage, name)
            theirs = cryptography(path, name, usage)
            assert mine == theirs or explained(path, usage, theirs), (number, mine, path, usage, name)
            done["explained" if mine != theirs else "both accept" if mine else "both refuse"] += 1
        return done

    assert min(search(run, 6).values()) > 10
