"""The sections on the network."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from bulkhead.policy.model.base import MAX_ITEMS, MAX_PATTERNS, MAX_PORTS, MAX_RULES, Model
from bulkhead.policy.model.sections import RuleBase, Section
from bulkhead.policy.model.selectors import LabelSelector
from bulkhead.policy.model.texts import Cidr, DnsName, NonEmpty, Port
from bulkhead.policy.refusal import refusal
from bulkhead.policy.rules import Network

SocketFamily = Literal["unix", "inet", "inet6", "netlink", "packet", "vsock", "bluetooth", "can", "alg", "xdp", "smc"]
SocketType = Literal["stream", "dgram", "raw", "seqpacket", "rdm", "packet"]


class Peer(Model):
    """The other end of a connection: an address range, a DNS name, or pods."""

    cidr: Cidr | None = Field(
        default=None, description="An address range, such as `10.0.0.0/8` or `2001:db8::/32`; `0.0.0.0/0` is all IPv4."
    )
    excluded: Annotated[list[Cidr], NonEmpty] = Field(
        default=[],
        alias="except",
        max_length=MAX_ITEMS,
        json_schema_extra={"minItems": 1},
        description="Parts of `cidr` that are left out: `[10.9.0.0/16]`.",
    )
    dns: DnsName | None = Field(
        default=None, description="A DNS name, such as `example.com`, or `*.example.com` for the names below it."
    )
    pod_selector: LabelSelector | None = Field(
        default=None, description="Pods by their labels; without `namespaceSelector`, those of the policy's namespace."
    )
    namespace_selector: LabelSelector | None = Field(
        default=None, description="Pods by the labels of their namespace; `{}` is every namespace."
    )

    def refusals(self) -> Iterator[PydanticCustomError]:
        """Peers of no kind or of two, and exceptions that leave nothing or are no part of the range."""
        selects_pods = self.pod_selector is not None or self.namespace_selector is not None
        if (self.cidr is not None) + (self.dns is not None) + selects_pods != 1:
            yield refusal("a peer is one of cidr, dns, or selectors of pods", "write one of them, and only one")
        if self.excluded and self.cidr is None:
            yield refusal("except without cidr", "write the cidr that it is a part of", ("except",))
        if self.cidr is not None:
            yield from _exceptions(ip_network(self.cidr), [ip_network(text) for text in self.excluded])


def _exceptions(whole: Network, parts: list[Network]) -> Iterator[PydanticCustomError]:
    outside = [index for index, part in enumerate(parts) if not _is_within(part, whole)]
    for index in outside:
        at = ("except", index)
        yield refusal(f"{parts[index]} is not a part of {whole}", "write a smaller range within cidr", at)
    if not outside and parts and _joined(parts) == [whole]:
        yield refusal(f"nothing of {whole} is left: the peer matches nothing", "leave something of cidr", ("except",))


def _is_within(part: Network, whole: Network) -> bool:
    if isinstance(part, IPv4Network) and isinstance(whole, IPv4Network):
        return part.subnet_of(whole)
    return isinstance(part, IPv6Network) and isinstance(whole, IPv6Network) and part.subnet_of(whole)


def _joined(parts: list[Network]) -> list[Network]:
    """Networks of one family without overlaps, as few as can be."""
    joined: list[Network] = []
    joined += collapse_addresses(part for part in parts if isinstance(part, IPv4Network))
    joined += collapse_addresses(part for part in parts if isinstance(part, IPv6Network))
    return joined


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class PortRange(Model):
    """A port, or a range of ports, of one protocol."""

    # Not a default of the schema: the API server would make an entry that says nothing into one of all TCP ports.
    protocol: Literal["TCP", "UDP"] = Field(
        default="TCP",
        description="The transport protocol. Omitted: `TCP`.",
        json_schema_extra=_without_default,
    )
    port: Port | None = Field(
        default=None, description="The port, or the first one of a range. Omitted: every port of the protocol."
    )
    end_port: Port | None = Field(default=None, description="The last port of a range that begins with `port`.")

    def refusals(self) -> Iterator[PydanticCustomError]:
        """Ranges without a beginning, or that end before it; entries that say nothing."""
        if not self.model_fields_set:
            yield refusal("says nothing", "write protocol, port or both")
        if self.end_port is not None and self.port is None:
            yield refusal("endPort without port", "write the first port of the range", ("endPort",))
        if self.end_port is not None and self.port is not None and self.end_port < self.port:
            remedy = f"write port: {self.end_port}, endPort: {self.port}"
            yield refusal("endPort is less than port", remedy, ("endPort",))


class EgressRule(RuleBase):
    """Where connections and packets may go. It matches where one of `to` and one of `ports` do."""

    to: Annotated[list[Peer], NonEmpty] = Field(
        default=[],
        max_length=MAX_PATTERNS,
        json_schema_extra={"minItems": 1},
        description="Destinations. Omitted: every address.",
    )
    ports: Annotated[list[PortRange], NonEmpty] = Field(
        default=[],
        max_length=MAX_PORTS,
        json_schema_extra={"minItems": 1},
        description="Ports. Omitted: every protocol and port.",
    )


class IngressRule(RuleBase):
    """Where connections and packets may come from. It matches where one of `from` and one of `ports` do."""

    from_: Annotated[list[Peer], NonEmpty] = Field(
        default=[],
        alias="from",
        max_length=MAX_PATTERNS,
        json_schema_extra={"minItems": 1},
        description="Sources. Omitted: every address.",
    )
    ports: Annotated[list[PortRange], NonEmpty] = Field(
        default=[],
        max_length=MAX_PORTS,
        json_schema_extra={"minItems": 1},
        description="Ports of the container. Omitted: every protocol and port.",
    )


class SocketRule(RuleBase):
    """Which sockets may be made. It matches where one of `families` and one of `types` do."""

    families: Annotated[list[SocketFamily], NonEmpty] = Field(
        default=[],
        max_length=32,
        json_schema_extra={"minItems": 1},
        description="Address families, such as `packet`. Omitted: all.",
    )
    types: Annotated[list[SocketType], NonEmpty] = Field(
        default=[], max_length=8, json_schema_extra={"minItems": 1}, description="Types, such as `raw`. Omitted: all."
    )

    def refusals(self) -> Iterator[PydanticCustomError]:
        """Rules that name nothing."""
        if not (self.families or self.types):
            yield refusal("the rule matches nothing", "write families, types or both")


class EgressSection(Section):
    """Outgoing connections and packets."""

    rules: list[EgressRule] = Field(default=[], max_length=MAX_RULES, description="Where traffic may go.")


class IngressSection(Section):
    """Incoming connections and packets."""

    rules: list[IngressRule] = Field(default=[], max_length=MAX_RULES, description="Where traffic may come from.")


class SocketsSection(Section):
    """Making sockets."""

    rules: list[SocketRule] = Field(default=[], max_length=MAX_RULES, description="Which sockets may be made.")


class NetworkSection(Model):
    """The network."""

    egress: EgressSection | None = Field(
        default=None, description="Outgoing connections and packets. A connection that is refused fails with EPERM."
    )
    ingress: IngressSection | None = Field(default=None, description="Incoming connections and packets.")
    sockets: SocketsSection | None = Field(
        default=None, description="Which sockets may be made: for families that `egress` and `ingress` do not see."
    )

    def refusals(self) -> Iterator[PydanticCustomError]:
        """A section that says nothing."""
        if not self.model_fields_set:
            yield refusal("says nothing", "write egress, ingress or sockets, or leave it out")
