"""A certificate and its key that are there: whether they belong together, for whom, since when and until when.

Every function that reads PEM raises Damaged with what is wrong, without the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from bulkhead.errors import Damaged


@dataclass(frozen=True)
class Facts:
    """What a certificate says. `names`: hosts, addresses, URIs."""

    begins: datetime
    ends: datetime
    names: frozenset[str]

    def at(self, share: float) -> datetime:
        """When so much of its time is over."""
        return self.begins + (self.ends - self.begins) * share


def facts(certificate: bytes) -> Facts:
    """Of the first certificate in a PEM text."""
    first = load_certificates(certificate)[0]
    try:
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        told = frozenset(str(name.value) for name in names)
    except x509.ExtensionNotFound:
        told = frozenset()
    except ValueError as error:
        raise Damaged("its extensions make no sense") from error
    return Facts(first.not_valid_before_utc, first.not_valid_after_utc, told)


def belong_together(certificate: bytes, key: bytes) -> bool:
    """Whether the key is the certificate's. Keys of any kind: they may be somebody's own."""
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise Damaged("there is no key without a password in it") from error
    return public_bytes(load_certificates(certificate)[0].public_key()) == public_bytes(private.public_key())


def is_signed_by(certificate: bytes, authorities: bytes) -> bool:
    """Whether one of the certificates in `authorities` signed it."""
    first = load_certificates(certificate)[0]
    for authority in load_certificates(authorities):
        try:
            first.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def load_certificates(content: bytes) -> list[x509.Certificate]:
    """All in a PEM text; at least one."""
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise Damaged("there is no certificate in it") from error


def load_key(content: bytes) -> ec.EllipticCurvePrivateKey:
    """A key of the kind that we make."""
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise Damaged("there is no key in it") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Damaged("its key is of another kind than ours")
    return key


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as text, not encrypted."""
    form, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def public_bytes(key: PublicKeyTypes) -> bytes:
    """Of a public key, to compare."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
