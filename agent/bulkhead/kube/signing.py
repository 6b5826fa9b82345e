"""Requests for certificates in the API: somebody asks, a signer answers.

The API server writes into each request who asked, as it does for no other object: name and groups, and of a pod's token
the pod and its node. Nobody can change that afterwards, so a signer need not see anybody's token. Next step:
`controller.issuing` answers, `agent.cluster.certificate` asks.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead.kube.client import MERGE_TYPE, Api
from bulkhead.kube.conditions import find, now
from bulkhead.kube.objects import collection_path, object_path

KIND = "CertificateSigningRequest"
CLIENT_USAGES = ("digital signature", "client auth")
EXTRA = "authentication.kubernetes.io/"


@dataclass(frozen=True)
class SigningRequest:
    """One of them, as it is now. `request` and `certificate` are PEM; `denial` says why it is refused."""

    name: str
    version: str
    username: str
    extra: Mapping[str, Any]
    usages: tuple[str, ...]
    request: bytes
    conditions: tuple[Mapping[str, Any], ...] = ()
    certificate: bytes = b""

    @property
    def approved(self) -> bool:
        """Whether it was approved, by us or by somebody who may."""
        return bool(find(self.conditions, "Approved"))

    @property
    def denial(self) -> str:
        """Why it was refused, or could not be signed; empty where neither is so."""
        for kind in ("Denied", "Failed"):
            if condition := find(self.conditions, kind):
                return str(condition.get("message") or condition.get("reason") or kind)
        return ""

    @property
    def decided(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.certificate or self.denial)

    def told(self, key: str) -> str:
        """What the API server knows of the token that asked: `node-name`, `pod-name`, `pod-uid`; empty: nothing."""
        values = list(self.extra.get(EXTRA + key) or ())
        return str(values[0]) if len(values) == 1 else ""


def parse(value: Mapping[str, Any]) -> SigningRequest:
    """From an object of the API."""
    metadata, spec, status = value["metadata"], value["spec"], value.get("status") or {}
    return SigningRequest(
        name=str(metadata["name"]),
        version=str(metadata.get("resourceVersion", "")),
        username=str(spec.get("username", "")),
        extra=spec.get("extra") or {},
        usages=tuple(spec.get("usages") or ()),
        request=_decoded(spec.get("request")),
        conditions=tuple(status.get("conditions") or ()),
        certificate=_decoded(status.get("certificate")),
    )


def ask(api: Api, signer: str, prefix: str, request: bytes) -> str:
    """Makes a request whose name begins with `prefix`; its whole name. Raises `ApiRefused`, `Unreachable`."""
    spec = {"signerName": signer, "request": _encoded(request), "usages": list(CLIENT_USAGES)}
    body = {
        "apiVersion": "certificates.k8s.io/v1", "kind": KIND, "metadata": {"generateName": prefix}, "spec": spec,
    }  # fmt: skip
    return str(api.post(collection_path(KIND), body)["metadata"]["name"])


def look(api: Api, name: str) -> SigningRequest:
    """A request as it is now. Raises `NotFound` where it is gone, `ApiRefused`, `Unreachable`."""
    return parse(api.get(object_path(KIND, "", name)))


def approve(api: Api, request: SigningRequest, message: str) -> SigningRequest:
    """Approves that version of it; raises `Conflict` where it is another by now."""
    return _condition(api, request, "Approved", "Issued", message)


def deny(api: Api, request: SigningRequest, reason: str, message: str) -> SigningRequest:
    """Refuses it for good. Raises as `approve`."""
    return _condition(api, request, "Denied", reason, message)


def put_certificate(api: Api, request: SigningRequest, certificate: bytes) -> None:
    """The answer. Raises as `approve`."""
    body = {
        "metadata": {"resourceVersion": request.version},
        "status": {"certificate": _encoded(certificate)},
    }
    api.patch(f"{object_path(KIND, '', request.name)}/status", body, MERGE_TYPE)


def _condition(api: Api, request: SigningRequest, kind: str, reason: str, message: str) -> SigningRequest:
    moment = now()
    added = {
        "type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": moment,
        "lastTransitionTime": moment,
    }  # fmt: skip
    body = {
        "metadata": {"resourceVersion": request.version},
        "status": {"conditions": [*request.conditions, added]},
    }
    return parse(api.patch(f"{object_path(KIND, '', request.name)}/approval", body, MERGE_TYPE))


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except binascii.Error:
        return b""
