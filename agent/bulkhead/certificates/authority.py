"""Authorities that replace one another, and what they sign.

An installation has one authority, and two while it changes. Everything follows from the dates in their certificates,
so there is no state that could be lost or disagree: a new one is made when two thirds of the newest's time are over,
published at once, signs when everybody has had the time to learn of it, and the old one goes when nothing that it
signed is valid any more. Next step: `controller.certificates` keeps them in a Secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bulkhead.certificates.pair import key_pem, load_certificates, load_key, pem, public_bytes
from bulkhead.errors import Damaged

BACKDATED = timedelta(minutes=5)  # clocks of machines differ
SHARE = 2 / 3  # of its time after which a certificate is replaced
SLACK = timedelta(hours=1)
KEY = re.compile(rb"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Terms:
    """For how long things are valid: an agent's certificate, those of collector and subscribers, an authority's."""

    agent: timedelta = timedelta(hours=24)
    service: timedelta = timedelta(days=7)
    authority: timedelta = timedelta(days=365)

    @property
    def learning(self) -> timedelta:
        """How long a new authority is published before it signs: every agent has asked anew once since."""
        return 2 * self.agent

    @property
    def outlived(self) -> timedelta:
        """How long after it began nothing is valid any more that the one before a new authority signed."""
        return self.learning + max(self.agent, self.service) + SLACK


class Authority(NamedTuple):
    """A certificate that signs others, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


class Usage(Enum):
    """Which side of a connection shows a certificate."""

    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
    SERVER = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True)
class Leaf:
    """What a certificate says. `names` are hosts, addresses, or URIs."""

    common_name: str
    names: tuple[str, ...]
    usage: Usage
    lasts: timedelta


def make_authority(now: datetime, lasts: timedelta, name: str) -> Authority:
    """A new one. No two have the same subject: who verifies looks for the signer by that."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {serial:040x} of {name}"[:64])])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), serial)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lasts)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(builder.sign(key, hashes.SHA256()), key)


def advance(known: Sequence[Authority], now: datetime, terms: Terms, name: str) -> tuple[Authority, ...]:
    """What there should be at `now`, oldest first; `known` where nothing is to be done.

    Raises Damaged where one begins in the future: then a clock is or was wrong, and to trust it could end them all.
    """
    for each in known:
        if (begins := each.certificate.not_valid_before_utc) > now:
            raise Damaged(f"an authority in it begins at {begins}, and the clock here says {now}: one of them is wrong")
    valid = [each for each in known if each.certificate.not_valid_after_utc > now]
    if not valid or now >= _renewal(valid[-1]):
        valid.append(make_authority(now, terms.authority, name))
    signs = valid.index(signer(valid, now, terms))
    if now >= _begun(valid[signs]) + terms.outlived:
        valid = valid[signs:]
    return tuple(valid)


def signer(known: Sequence[Authority], now: datetime, terms: Terms) -> Authority:
    """Who signs at `now`: the newest that everybody knows; the oldest, where there is none such."""
    learnt = [each for each in known if now >= _begun(each) + terms.learning]
    return learnt[-1] if learnt else known[0]


def sign(authority: Authority, public_key: ec.EllipticCurvePublicKey, leaf: Leaf, now: datetime) -> bytes:
    """A certificate, PEM. It does not outlive its authority."""
    ends = min(now + leaf.lasts, authority.certificate.not_valid_after_utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)])
    identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder(authority.certificate.subject, subject, public_key, x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([leaf.usage.value]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in leaf.names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )  # fmt: skip
    return pem(builder.sign(authority.key, hashes.SHA256()))


def issue(authority: Authority, leaf: Leaf, now: datetime) -> tuple[bytes, bytes]:
    """A new key with its certificate: certificate and key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return sign(authority, key.public_key(), leaf, now), key_pem(key)


def bundle(known: Sequence[Authority]) -> bytes:
    """The certificates of all, PEM: whom to believe."""
    return b"".join(pem(each.certificate) for each in known)


def to_pem(known: Sequence[Authority]) -> bytes:
    """All of them with their keys, as `from_pem` reads them."""
    return b"".join(pem(each.certificate) + key_pem(each.key) for each in known)


def from_pem(content: bytes) -> tuple[Authority, ...]:
    """Reads `to_pem`. Raises Damaged where that is not what it wrote."""
    certificates = load_certificates(content)
    keys = [load_key(block) for block in KEY.findall(content)]
    if len(keys) != len(certificates):
        raise Damaged(f"{len(certificates)} certificates with {len(keys)} keys")
    for certificate, key in zip(certificates, keys, strict=True):
        if public_bytes(certificate.public_key()) != public_bytes(key.public_key()):
            raise Damaged(f"the key of {certificate.subject.rfc4514_string()} is another's")
        if not _signs(certificate):
            raise Damaged(f"{certificate.subject.rfc4514_string()} is no authority's certificate")
    return tuple(map(Authority, certificates, keys))


def _signs(certificate: x509.Certificate) -> bool:
    try:
        certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _begun(authority: Authority) -> datetime:
    return authority.certificate.not_valid_before_utc + BACKDATED


def _renewal(authority: Authority) -> datetime:
    return _begun(authority) + (authority.certificate.not_valid_after_utc - _begun(authority)) * SHARE


def _general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
