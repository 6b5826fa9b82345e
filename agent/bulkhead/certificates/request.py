"""A request for a certificate: made by who has the key, read by who signs.

What a request asks to be called is not believed: the signer says whose it is. Next step: `certificates.authority.sign`.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bulkhead.certificates.pair import key_pem
from bulkhead.errors import InvalidInput


def make_request(name: str) -> tuple[bytes, bytes]:
    """A new key and a request with it, both PEM: request and key. `name` is for people who look at requests."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    request = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM), key_pem(key)


def public_key_of(request: bytes) -> ec.EllipticCurvePublicKey:
    """The key that it is for. Raises InvalidInput unless who asks has it, and it is of the kind that agents make."""
    try:
        parsed = x509.load_pem_x509_csr(request)
        key, is_theirs = parsed.public_key(), parsed.is_signature_valid
    except (ValueError, TypeError) as error:
        raise InvalidInput("it is no certificate request in PEM") from error
    if not is_theirs:
        raise InvalidInput("it is not signed with the key that it is for")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("its key is not on the curve P-256; agents make no others")
    return key
