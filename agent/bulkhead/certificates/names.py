"""What the objects of one installation are called, and how a certificate says which node it is of.

The chart makes the objects under these names, `controller.certificates` fills them, agents look for them. Nothing here
is configured twice: all of it follows from the namespace and the first part of the release's names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bulkhead.errors import UsageError

NODE_URI = "bulkhead://agent/"
EVENTS_NAME = "bulkhead-collector"  # what `bulkhead events` asks for where it forwards the port, whatever the release


@dataclass(frozen=True)
class Names:
    """`name` is the chart's fullname, `namespace` the release's."""

    namespace: str
    name: str

    @property
    def signer(self) -> str:
        """As in a CertificateSigningRequest's spec.signerName: ours alone, also where several are installed."""
        return f"bulkhead.dev/{self.namespace}.{self.name}-agent"

    @property
    def agent_account(self) -> str:
        """Whom the API server calls an agent."""
        return f"system:serviceaccount:{self.namespace}:{self.name}-agent"

    @property
    def agent(self) -> str:
        """Common name of agents' certificates."""
        return f"{self.name}-agent"

    @property
    def client(self) -> str:
        """Common name of the subscribers' certificate."""
        return f"{self.name}-client"

    @property
    def collector(self) -> str:
        """Common name of the collector's certificate."""
        return f"{self.name}-collector"

    @property
    def collector_hosts(self) -> tuple[str, ...]:
        """What the collector's certificate is for, besides 127.0.0.1."""
        service = self.collector
        hosts = (service, f"{service}.{self.namespace}", f"{service}.{self.namespace}.svc", EVENTS_NAME, "localhost")
        return tuple(dict.fromkeys(hosts))

    @property
    def authority_secret(self) -> str:
        """Secret with the authorities and their keys, which only the controller reads."""
        return f"{self.name}-authority"

    @property
    def collector_secret(self) -> str:
        """Secret that the collector mounts."""
        return f"{self.name}-collector-cert"

    @property
    def client_secret(self) -> str:
        """Secret of the subscribers."""
        return f"{self.name}-client-cert"

    @property
    def bundle_config(self) -> str:
        """ConfigMap with the authorities' certificates, for whoever has to know the collector."""
        return f"{self.name}-collector-ca"


def names_of(text: str) -> Names:
    """From NAMESPACE/NAME. Raises UsageError."""
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise UsageError(f"--certificates {text}: write NAMESPACE/NAME, as the chart does; nothing was changed")
    return Names(namespace, name)


def node_uri(node: str) -> str:
    """How a certificate says whose it is."""
    return f"{NODE_URI}{node}"


def nodes_in(uris: Iterable[str]) -> frozenset[str]:
    """The nodes that a certificate with these URIs speaks for."""
    return frozenset(uri.removeprefix(NODE_URI) for uri in uris if uri.startswith(NODE_URI))
