"""Answers agents' requests for certificates: is it an agent, of which node, and then a certificate for that node.

Who asked and from which node is in the request itself, written there by the API server when it took the agent's token
(`kube.signing`). An agent that was taken over gets certificates of its own node and no other. Only who leads answers.
Next step: `controller.certificates` for the authority, `certificates.authority` for signing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from bulkhead.certificates.authority import Authority, Leaf, Usage, sign
from bulkhead.certificates.names import node_uri
from bulkhead.certificates.request import public_key_of
from bulkhead.controller.certificates import CertificateSettings, Keeper, utc_now
from bulkhead.errors import BulkheadError, InvalidInput
from bulkhead.kube import signing
from bulkhead.kube.client import Api
from bulkhead.kube.errors import Conflict, Forbidden, Invalid, NotFound
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.kube.reflector import Reflector
from bulkhead.kube.signing import SigningRequest
from bulkhead.log import get_log
from bulkhead.monitoring import catalog
from bulkhead.monitoring.exposition import Sample

KEEP_S = 60.0  # between two looks at the objects that hold certificates
PAUSE_S = 10.0  # after a failure

log = get_log()


class Why(StrEnum):
    """Why a request is refused. The words are a label of a metric."""

    ACCOUNT = "account"
    NODE = "node"
    REQUEST = "request"


class Refused(Exception):
    """A request gets no certificate, ever; the message is for who asked."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why


class Issuing:
    """One controller's. `watch` hears of requests, `run` answers them."""

    def __init__(self, api: Api, settings: CertificateSettings) -> None:
        self._api, self._settings = api, settings
        self._keeper = Keeper(api, settings)
        self._lock = threading.Lock()
        self._open: dict[str, SigningRequest] = {}
        self._changed = threading.Event()
        self._refusals: Counter[Why] = Counter()
        self._failures = 0
        self.watch = Reflector(
            api,
            collection_path(signing.KIND),
            self._replace,
            self._change,
            field_selector=f"spec.signerName={settings.names.signer}",
        )

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set, and `wake` called."""
        while not stopping.is_set():
            pause_s = KEEP_S
            try:
                self.answer(self._keeper.keep())
            except BulkheadError as error:
                self._failures += 1
                log.error("certificates_not_issued", error=str(error))
                pause_s = PAUSE_S
                stopping.wait(1.0)  # whatever comes meanwhile meets the same
            self._changed.wait(pause_s)
            self._changed.clear()

    def wake(self) -> None:
        """Look again."""
        self._changed.set()

    def answer(self, authority: Authority) -> None:
        """All requests that are open. One that the API server does not let us answer keeps no other waiting.

        Raises `Unreachable`; what is left is answered the next time.
        """
        with self._lock:
            waiting = list(self._open.values())
        for request in waiting:
            try:
                self._answer(request, authority)
            except (Conflict, NotFound):  # it has changed or gone: the watch will say so
                continue
            except (Forbidden, Invalid) as error:
                self._failures += 1
                log.error("certificate_request_not_answered", request=request.name, error=str(error))

    def samples(self) -> Iterator[Sample]:
        """For Prometheus."""
        yield from self._keeper.samples()
        yield Sample(catalog.CERTIFICATE_FAILURES, self._failures)
        for why in Why:
            yield Sample(catalog.CERTIFICATES_REFUSED, self._refusals[why], (why.value,))

    def _answer(self, request: SigningRequest, authority: Authority) -> None:
        try:
            node, key = self._node_of(request), public_key_of(request.request)
        except InvalidInput as error:
            self._refuse(request, Why.REQUEST, str(error))
        except Refused as refusal:
            self._refuse(request, refusal.why, str(refusal))
        else:
            names, terms = self._settings.names, self._settings.terms
            leaf = Leaf(names.agent, (node_uri(node),), Usage.CLIENT, terms.agent)
            if not request.approved:
                request = signing.approve(self._api, request, f"asked for by the agent of node {node}")
            signing.put_certificate(self._api, request, sign(authority, key, leaf, utc_now()))
            self._keeper.issued["agent"] += 1
            log.info("certificate_issued", of="agent", node=node, request=request.name)
        self._close(request.name)

    def _refuse(self, request: SigningRequest, why: Why, message: str) -> None:
        self._refusals[why] += 1
        log.warning("certificate_refused", request=request.name, by=request.username, reason=message)
        if not request.approved:  # who approved it knows better; but there is no certificate for it
            signing.deny(self._api, request, "NotAnAgents", f"{message}; no certificate was issued")

    def _node_of(self, request: SigningRequest) -> str:
        """The node whose agent asks. Raises Refused."""
        names = self._settings.names
        if request.username != names.agent_account:
            raise Refused(Why.ACCOUNT, f"{request.username} asks; {names.agent_account} gets certificates, nobody else")
        if not set(request.usages) <= {*signing.CLIENT_USAGES}:
            raise Refused(Why.REQUEST, f"it is to be used for {', '.join(request.usages)}, and agents are clients only")
        node = request.told("node-name") or self._node_of_pod(request.told("pod-name"), request.told("pod-uid"))
        if not node:
            raise Refused(Why.NODE, "the token is bound to no node: an agent asks with the token that its pod is given")
        return node

    def _node_of_pod(self, name: str, uid: str) -> str:
        """Before Kubernetes 1.30 the API server knows the pod of a token only. Empty where there is none such."""
        if not name:
            return ""
        try:
            pod = self._api.get(object_path("Pod", self._settings.names.namespace, name))
        except NotFound:
            return ""
        return str(pod["spec"].get("nodeName") or "") if pod["metadata"]["uid"] == uid else ""

    def _replace(self, values: Iterable[Mapping[str, Any]]) -> None:
        with self._lock:
            parsed = map(signing.parse, values)
            self._open = {request.name: request for request in parsed if not request.decided}
        self._changed.set()

    def _change(self, event: str, value: Mapping[str, Any]) -> None:
        request = signing.parse(value)
        with self._lock:
            if event == "DELETED" or request.decided:
                self._open.pop(request.name, None)
                return
            self._open[request.name] = request
        self._changed.set()

    def _close(self, name: str) -> None:
        with self._lock:
            self._open.pop(name, None)
