"""Keeps the authority, and the certificates of collector and subscribers, in objects that the chart has made empty.

The controller may read and write these by name and no others; it makes and deletes none. What somebody has damaged is
told and not replaced: a new authority is one that nobody knows. Next step: `controller.issuing` for agents.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bulkhead.certificates.authority import (
    SHARE,
    Authority,
    Leaf,
    Terms,
    Usage,
    advance,
    bundle,
    from_pem,
    issue,
    signer,
    to_pem,
)
from bulkhead.certificates.names import Names
from bulkhead.certificates.pair import Facts, belong_together, facts, is_signed_by, pem
from bulkhead.errors import Damaged
from bulkhead.kube.client import Api
from bulkhead.kube.objects import object_path
from bulkhead.log import get_log
from bulkhead.monitoring import catalog
from bulkhead.monitoring.exposition import Sample

AUTHORITY_KEY = "authority.pem"
Data = Mapping[str, bytes]

log = get_log()


@dataclass(frozen=True)
class CertificateSettings:
    """What everything is called, and for how long it is valid."""

    names: Names
    terms: Terms = field(default_factory=Terms)


def utc_now() -> datetime:
    """The moment."""
    return datetime.now(UTC)


class Keeper:
    """One controller's. `issued` counts, by whose they are."""

    def __init__(self, api: Api, settings: CertificateSettings, clock: Callable[[], datetime] = utc_now) -> None:
        self._api, self._names, self._terms, self._clock = api, settings.names, settings.terms, clock
        self._facts: dict[str, Facts] = {}
        self.issued: Counter[str] = Counter()

    def keep(self) -> Authority:
        """Makes, renews and publishes what is due; who signs now. Raises Damaged, `ApiRefused`, `Unreachable`.

        What is published comes before what is signed with it.
        """
        known = self._authorities()
        authorities = bundle(known)
        self._put("ConfigMap", self._names.bundle_config, lambda _: {"ca.crt": authorities})
        signs = signer(known, self._clock(), self._terms)
        hosts = (*self._names.collector_hosts, "127.0.0.1")
        server = Leaf(self._names.collector, hosts, Usage.SERVER, self._terms.service)
        client = Leaf(self._names.client, (self._names.client,), Usage.CLIENT, self._terms.service)
        self._keep_pair("collector", self._names.collector_secret, server, signs, authorities)
        self._keep_pair("client", self._names.client_secret, client, signs, authorities)
        return signs

    def samples(self) -> Iterator[Sample]:
        """For Prometheus."""
        for whose, told in tuple(self._facts.items()):
            yield Sample(catalog.CERTIFICATE_EXPIRY, told.ends.timestamp(), (whose,))
            yield Sample(catalog.CERTIFICATE_RENEWAL, told.at(SHARE).timestamp(), (whose,))
        for whose in ("authority", "agent", "collector", "client"):
            yield Sample(catalog.CERTIFICATES_ISSUED, self.issued[whose], (whose,))

    def _authorities(self) -> tuple[Authority, ...]:
        found: list[Authority] = []

        def advanced(data: Data) -> Data:
            before, found[:] = self._advanced(data)
            added = sum(each not in before for each in found)
            if added:
                self.issued["authority"] += added
                log.info("authority_made", known=len(found), subject=found[-1].certificate.subject.rfc4514_string())
            return {AUTHORITY_KEY: to_pem(found)}

        self._put("Secret", self._names.authority_secret, advanced)
        self._facts["authority"] = facts(pem(found[-1].certificate))
        return tuple(found)

    def _advanced(self, data: Data) -> tuple[tuple[Authority, ...], tuple[Authority, ...]]:
        """The authorities that there are, and those that there should be."""
        try:
            before = from_pem(data.get(AUTHORITY_KEY, b"")) if data else ()
            return before, advance(before, self._clock(), self._terms, self._names.name)
        except Damaged as error:
            name = f"Secret {self._names.namespace}/{self._names.authority_secret}"
            raise Damaged(
                f"{name} is damaged: {error}. No certificate is issued, those that there are hold until they end. "
                "Put back what it held, or the clock; or remove its data: a new authority is made, "
                "which everybody has to learn of"
            ) from error

    def _keep_pair(self, whose: str, secret: str, leaf: Leaf, signs: Authority, authorities: bytes) -> None:
        def kept(data: Data) -> Data:
            if (told := self._usable(data, leaf, authorities)) is None:
                certificate, key = issue(signs, leaf, self._clock())
                self.issued[whose] += 1
                told = facts(certificate)
                log.info("certificate_issued", of=whose, until=told.ends.isoformat())
                data = {"tls.crt": certificate, "tls.key": key}
            self._facts[whose] = told
            return {"tls.crt": data["tls.crt"], "tls.key": data["tls.key"], "ca.crt": authorities}

        self._put("Secret", secret, kept)

    def _usable(self, data: Data, leaf: Leaf, authorities: bytes) -> Facts | None:
        """What is there, unless something else should be."""
        try:
            certificate, key = data["tls.crt"], data["tls.key"]
            told = facts(certificate)
            fits = belong_together(certificate, key) and is_signed_by(certificate, authorities)
        except (KeyError, Damaged):
            return None
        return told if fits and told.names == set(leaf.names) and self._clock() < told.at(SHARE) else None

    def _put(self, kind: str, name: str, wanted: Callable[[Data], Data]) -> None:
        """Writes what the object should hold, by what it holds; nothing where that is the same."""
        path = object_path(kind, self._names.namespace, name)
        found = self._api.get(path)
        data = _decoded(found.get("data") or {}, kind, name)
        content = wanted(data)
        if content != data:
            self._api.put(path, {**found, "data": _encoded(content, kind)})


def _decoded(data: Mapping[str, Any], kind: str, name: str) -> Data:
    if kind == "ConfigMap":
        return {key: str(value).encode() for key, value in data.items()}
    try:
        return {key: base64.b64decode(str(value), validate=True) for key, value in data.items()}
    except binascii.Error as error:
        raise Damaged(f"Secret {name}: its data is not base64; nothing was changed") from error


def _encoded(content: Data, kind: str) -> dict[str, str]:
    if kind == "ConfigMap":
        return {key: value.decode() for key, value in content.items()}
    return {key: base64.b64encode(value).decode() for key, value in content.items()}
