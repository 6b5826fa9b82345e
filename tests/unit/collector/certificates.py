"""A certificate authority, a server and a client certificate, made with the openssl command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificates(NamedTuple):
    """PEM files of one authority; the server's is for 127.0.0.1 and localhost."""

    authority: Path
    server_certificate: Path
    server_key: Path
    client_certificate: Path
    client_key: Path


def make_certificates(directory: Path) -> Certificates:
    """Makes everything anew in `directory`. Elliptic curves, because RSA keys take seconds."""
    directory.mkdir(parents=True, exist_ok=True)
    authority_key, authority = directory / "ca.key", directory / "ca.pem"
    _openssl("req", "-x509", *_new_key(authority_key), "-out", authority, "-subj", "/CN=test authority", "-days", "2")
    made = []
    for name, alternative in (("server", "IP:127.0.0.1,DNS:localhost"), ("client", "DNS:node")):
        key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
        _openssl(
            "req", "-x509", *_new_key(key), "-out", certificate, "-subj", f"/CN={name}", "-days", "2",
            "-CA", authority, "-CAkey", authority_key, "-addext", f"subjectAltName={alternative}",
            "-addext", "basicConstraints=critical,CA:FALSE",
        )  # fmt: skip
        made += [certificate, key]
    return Certificates(authority, *made)


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
