"""The collector's own certificate, and whose clients it believes: files that are renewed while it serves.

gRPC asks before each handshake; connections that stand are left alone. New files are taken up when they fit together:
a volume of Kubernetes changes all at once, but somebody may write them one by one. Next step: `collector.server`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import grpc

from bulkhead.certificates.authority import SHARE
from bulkhead.certificates.pair import Facts, belong_together, facts
from bulkhead.errors import BulkheadError, Damaged, UsageError
from bulkhead.log import get_log
from bulkhead.monitoring import catalog
from bulkhead.monitoring.exposition import Sample
from bulkhead.report.channel import TlsFiles, read_pem

Stamp = tuple[tuple[int, int, int], ...]
Configuration = grpc.ServerCertificateConfiguration

log = get_log()


class Serving:
    """One server's. `files.authority` None: no client needs a certificate."""

    def __init__(self, files: TlsFiles) -> None:
        self._certificate, self._key = pair_of(files)
        self._authority = files.authority
        self._lock = threading.Lock()
        self._failures = 0
        self._stamp = self._now()
        self._facts, self._first = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """For a port."""
        renewed = cast(Callable[[], Configuration], self._renewed)  # None is as before, which the types do not know
        return grpc.dynamic_ssl_server_credentials(
            self._first, renewed, require_client_authentication=self._authority is not None
        )

    def samples(self) -> Iterator[Sample]:
        """For Prometheus."""
        yield Sample(catalog.CERTIFICATE_FAILURES, self._failures)
        yield Sample(catalog.CERTIFICATE_EXPIRY, self._facts.ends.timestamp(), ("collector",))
        yield Sample(catalog.CERTIFICATE_RENEWAL, self._facts.at(SHARE).timestamp(), ("collector",))

    def _renewed(self) -> Configuration | None:
        """What has changed since; None where nothing has. Called by threads of gRPC's."""
        with self._lock:
            stamp = self._now()
            if stamp == self._stamp:
                return None
            self._stamp = stamp  # what does not fit is read again when it has changed again
            try:
                self._facts, configuration = self._read()
            except BulkheadError as error:
                self._failures += 1
                log.error("certificate_not_taken_up", error=str(error))
                return None
            log.info("certificate_taken_up", until=self._facts.ends.isoformat())
            return configuration

    def _read(self) -> tuple[Facts, Configuration]:
        certificate, key = read_pem(self._certificate), read_pem(self._key)
        authority = read_pem(self._authority) if self._authority else None
        try:
            fits, told = belong_together(certificate, key), facts(certificate)
        except Damaged as error:
            raise UsageError(f"{self._certificate}, {self._key}: {error}; the ones before go on") from error
        if not fits:
            raise UsageError(f"{self._certificate}: its key is not the one in {self._key}; the ones before go on")
        return told, grpc.ssl_server_certificate_configuration([(key, certificate)], authority)

    def _now(self) -> Stamp:
        """What tells that files are others."""
        paths = (self._certificate, self._key, *([self._authority] if self._authority else []))
        try:
            return tuple((told.st_ino, told.st_size, told.st_mtime_ns) for told in map(Path.stat, paths))
        except OSError:
            return ()  # they are being replaced: to read them says which


def pair_of(tls: TlsFiles) -> tuple[Path, Path]:
    """Certificate and key. Raises UsageError where one is missing."""
    if tls.certificate is None or tls.key is None:
        raise UsageError("a TLS certificate and its key go together: give both or neither")
    return tls.certificate, tls.key


def serving(tls: TlsFiles) -> Serving | None:
    """None without a certificate. Raises UsageError for a combination that would not protect."""
    if tls.certificate is None and tls.key is None:
        if tls.authority is not None:
            raise UsageError("client certificates need TLS: give a certificate and a key, too")
        return None
    return Serving(tls)
