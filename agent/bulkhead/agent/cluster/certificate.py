"""The agent's certificate: asked for with the token of its pod, renewed in time, kept over restarts.

The key is made here and leaves the node never. Nothing that is enforced waits for any of this: without a certificate
violations stay in the spool. A stream that is open goes on while its certificate is renewed, and the next one is opened
with the new one. Next step: `kube.signing`; the controller answers (`controller.issuing`).
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bulkhead.certificates.names import Names, node_uri
from bulkhead.certificates.pair import Facts, belong_together, facts, is_signed_by
from bulkhead.certificates.request import make_request
from bulkhead.errors import BulkheadError, Damaged, Unreachable
from bulkhead.kube import signing
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.kube.pacing import Backoff
from bulkhead.kube.secrets import read_config
from bulkhead.log import get_log
from bulkhead.monitoring import catalog
from bulkhead.monitoring.exposition import Sample
from bulkhead.report.channel import Pems
from bulkhead.report.disk import Disk

RENEWED = (0.60, 0.70)  # of its time, when it is renewed: about two thirds, and not all nodes at once
ANSWERED_S = 30.0  # how long a request is looked at without a pause
LOOK_S = 1.0
LONGEST_S = 3_600.0  # until the dates are looked at again: clocks are set
REFUSED_S = 300.0  # a refusal is mended by hand, and each request stays in the API for an hour
FIRST_S = 2.0  # for which a connection waits that comes before the first certificate
STAYS = "everything stays in the spool, and what is enforced stays enforced"

log = get_log()


class Refused(Unreachable):
    """The controller gives no certificate to this agent as it is."""


@dataclass(frozen=True)
class Held:
    """A certificate with its key, PEM, and when to renew it."""

    certificate: bytes
    key: bytes
    facts: Facts
    renewed: datetime


@dataclass(frozen=True)
class Asked:
    """A request that is not answered yet."""

    name: str
    key: bytes


class AgentCertificate:
    """One node's; it is `report.channel.Tls`. `kept` is a file of the node's that nobody else reads."""

    def __init__(
        self,
        api: Api,
        names: Names,
        node: str,
        kept: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api, self._names, self._node, self._kept, self._clock = api, names, node, kept, clock
        self._stopping, self._wanted, self._usable = threading.Event(), threading.Event(), threading.Event()
        self._backoff = Backoff()
        self._asked: Asked | None = None
        self._held: Held | None = None
        self._authorities = b""
        self._wrong = "it was not asked for yet"
        self._failures = 0
        self._take_up()

    def read(self) -> Pems:
        """What to show a collector, and whom to believe, now. Raises Unreachable where there is nothing to show."""
        self._wanted.set()  # the authorities may be others by now
        self._usable.wait(FIRST_S)
        held = self._held
        if held is None or not self._authorities:
            raise Unreachable(f"there is no certificate for this node yet: {self._wrong}; {STAYS}")
        if self._clock() >= held.facts.ends:
            raise Unreachable(f"this node's certificate ended at {held.facts.ends}: {self._wrong}; {STAYS}")
        return Pems(self._authorities, held.certificate, held.key)

    def run(self) -> None:
        """Gets it, and renews it, until `stop`."""
        while not self._stopping.is_set():
            pause_s = self.look()
            self._wanted.wait(pause_s)
            self._wanted.clear()

    def look(self) -> float:
        """Does what is due; seconds after which something may be due again."""
        try:
            self._look()
        except BulkheadError as error:
            self._failures += 1
            if str(error) != self._wrong:
                self._wrong = str(error)
                log.warning("certificate_not_issued", node=self._node, reason=str(error))
            pause_s = REFUSED_S * (1 + random.random()) if isinstance(error, Refused) else self._backoff.pause_s()
            self._stopping.wait(pause_s)  # and not for whoever wants to connect: that is why there is a pause
            return 0.0
        self._backoff = Backoff()
        assert self._held is not None
        return min(LONGEST_S, max(0.0, (self._held.renewed - self._clock()).total_seconds()))

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()
        self._wanted.set()

    def samples(self) -> Iterator[Sample]:
        """For Prometheus."""
        yield Sample(catalog.CERTIFICATE_FAILURES, self._failures)
        if held := self._held:
            yield Sample(catalog.CERTIFICATE_EXPIRY, held.facts.ends.timestamp(), ("agent",))
            yield Sample(catalog.CERTIFICATE_RENEWAL, held.renewed.timestamp(), ("agent",))

    def _look(self) -> None:
        remedy = "the chart makes it, and its controller fills it"
        published = read_config(self._api, self._names.namespace, self._names.bundle_config, remedy).get("ca.crt", "")
        if not published:
            raise Unreachable(f"ConfigMap {self._names.bundle_config} holds no authority yet; {STAYS}")
        authorities, held = published.encode(), self._held
        if held is None or self._clock() >= held.renewed or not is_signed_by(held.certificate, authorities):
            self._authorities = authorities
            self._accept(*self._obtained())
            self._keep()
        elif authorities != self._authorities:
            self._authorities = authorities
            self._keep()
        self._usable.set()

    def _obtained(self) -> tuple[bytes, bytes]:
        """A new certificate and its key, in as many calls as it takes."""
        if self._asked is None:
            request, key = make_request(self._node)
            self._asked = Asked(signing.ask(self._api, self._names.signer, f"{self._names.agent}-", request), key)
        asked, waited_s = self._asked, 0.0
        while waited_s < ANSWERED_S and not self._stopping.is_set():
            found = self._answer(asked)
            if found.certificate:
                self._asked = None
                return found.certificate, asked.key
            if found.denial:
                self._asked = None
                raise Refused(f"CertificateSigningRequest {asked.name} was refused: {found.denial}; {STAYS}")
            waited_s += LOOK_S
            self._stopping.wait(LOOK_S)
        raise Unreachable(f"no controller has answered CertificateSigningRequest {asked.name} yet; {STAYS}")

    def _answer(self, asked: Asked) -> signing.SigningRequest:
        try:
            return signing.look(self._api, asked.name)
        except NotFound:
            self._asked = None
            raise

    def _accept(self, certificate: bytes, key: bytes) -> None:
        told, now = facts(certificate), self._clock()
        if not belong_together(certificate, key) or node_uri(self._node) not in told.names:
            raise Refused(f"a certificate was issued for {sorted(told.names)} and not for {self._node}; {STAYS}")
        if not told.begins <= now < told.ends:
            raise Refused(
                f"a certificate was issued from {told.begins} to {told.ends}, and the clock of this node says {now}:"
                f" one of the clocks is wrong; {STAYS}"
            )
        self._held = Held(certificate, key, told, told.at(random.uniform(*RENEWED)))
        log.info("certificate_taken_up", node=self._node, until=told.ends.isoformat())

    def _keep(self) -> None:
        """For the next agent on this node, that may start without an API server."""
        assert self._held is not None
        held = self._held
        kept = {"certificate": held.certificate, "key": held.key, "authorities": self._authorities}
        try:
            Disk().replace(self._kept, json.dumps({name: text.decode() for name, text in kept.items()}).encode())
        except OSError as error:
            log.warning("certificate_not_kept", path=str(self._kept), reason=error.strerror)

    def _take_up(self) -> None:
        """What an agent before left, where it is still good. Whatever is wrong with it: a new one is asked for."""
        try:
            kept = json.loads(self._kept.read_bytes())
            certificate, key, authorities = (kept[name].encode() for name in ("certificate", "key", "authorities"))
            if is_signed_by(certificate, authorities):
                self._accept(certificate, key)
                self._authorities = authorities
                self._usable.set()
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, AttributeError, TypeError, Damaged, Refused) as error:
            log.warning("certificate_not_taken_up", path=str(self._kept), reason=str(error))
