"""Texts and numbers of a document that have a form of their own, each with the check that refuses others.

Constraints that the API server can check, too, are given twice: to the validator here, which knows a remedy, and as
JSON schema. Next step: the sections, beside this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv6Network, ip_network
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from bulkhead.policy.capabilities import CAPABILITY_NAMES, PREFIX, capability_number
from bulkhead.policy.patterns import check_pattern
from bulkhead.policy.refusal import did_you_mean, refusal
from bulkhead.policy.rules import Network

SUBDOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
LABEL_KEY = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$"
RULE_NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
CONTAINER = r"^[a-z0-9*?-]+$"
DNS = r"^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$"
CAPABILITY = rf"^({PREFIX})?({'|'.join(CAPABILITY_NAMES)})$"

# A path pattern as the API server can check it, all but lengths: elements that are not . or .., with * never twice in a
# row, or ** alone, never twice in a row. The agent says it better (`policy.patterns`).
_CHARACTER = r"[^/*\x00]"
_PLAIN = rf"[^/*.\x00]{_CHARACTER}*|\.[^/*.\x00]{_CHARACTER}*|\.\.{_CHARACTER}+"
_STARRED = rf"{_CHARACTER}*\*({_CHARACTER}+\*)*{_CHARACTER}*"
_PATTERN = rf"/|((/\*\*)?/({_PLAIN}|{_STARRED}))*(/\*\*)?"
PATTERN = rf"^({_PATTERN})$"
PROGRAM = rf"^!?({_PATTERN})$"
CIDR = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*/[0-9]{1,3})$"
# The commonest of what `check_network` refuses, for the API server, which has no words of ours for it: bits beyond the
# prefix in whole bytes of IPv4, in the last group of IPv6, and IPv6 that stands for IPv4.
NO_CIDR = (
    r"^[0-9.]+\.0*[1-9][0-9]*/0*([0-9]|1[0-9]|2[0-4])$",
    r"^[0-9]+\.[0-9]+\.0*[1-9][0-9]*\.[0-9]+/0*([0-9]|1[0-6])$",
    r"^[0-9]+\.0*[1-9][0-9.]*/0*[0-8]$",
    r"^0*[1-9][0-9.]*/0+$",
    r":0*[1-9A-Fa-f][0-9A-Fa-f]*/0*([0-9]|[1-9][0-9]|10[0-9]|11[0-2])$",
    r"^((0{1,4}:){5}|((0{1,4}:)+|:):(0{1,4}:)*)[Ff]{4}:([0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}|[0-9.]+)/",
)

Items = TypeVar("Items", bound=Sequence[object])


def check_filled(items: Items) -> Items:
    """The list, if something is in it: an empty one could mean everything or nothing."""
    if not items:
        raise refusal("is an empty list", "write at least one entry, or leave the field out")
    return items


def _formed(pattern: str, remedy: str) -> Callable[[str], str]:
    """A check against a regular expression."""
    expression = re.compile(pattern)

    def check(text: str) -> str:
        if not expression.fullmatch(text):
            raise refusal(f"{text!r:.80} has not the form that it must have", remedy)
        return text

    return check


def check_capability(name: str) -> str:
    """The name, if it is a capability."""
    if capability_number(name) is not None:
        return name
    if name.upper() in ("ALL", "CAP_ALL"):
        raise refusal(f"{name} is not a capability", "a default of the section holds for all of them")
    remedy = did_you_mean(name.upper().removeprefix(PREFIX), list(CAPABILITY_NAMES))
    raise refusal(f"{name} is not a capability", remedy or "write it like NET_RAW or CAP_NET_RAW")


def check_network(text: str) -> str:
    """The text, if it is a CIDR of one address family, without zone, netmask or host bits."""
    if "%" in text:
        raise refusal(f"{text} has a zone, which is a matter of one node", "leave % and what follows it out")
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise refusal(f"{text} is not a CIDR", "write it like 10.0.0.0/8 or 2001:db8::/32") from None
    if "/" not in text:
        raise refusal(f"{text} has no prefix length", f"write {network}")
    if not text.rsplit("/", maxsplit=1)[1].isdecimal():
        raise refusal(f"{text} has a netmask instead of a prefix length", f"write {network}")
    if _has_host_bits(text):
        raise refusal(f"{text} has bits set beyond its prefix", f"write {network}")
    mapped = _unmapped(network)
    if mapped is not None:
        raise refusal(f"{text} stands for IPv4 addresses", f"write {mapped}")
    return text


def _has_host_bits(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return True
    return False


def _unmapped(network: Network) -> Network | None:
    """The IPv4 network that an IPv6 network below ::ffff:0:0/96 stands for."""
    if not isinstance(network, IPv6Network) or network.prefixlen < 96 or network.network_address.ipv4_mapped is None:
        return None
    return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")


def check_port(port: int) -> int:
    """The number, if it is a port."""
    if not 1 <= port <= 65535:
        raise refusal(f"{port} is not a port", "write a number from 1 to 65535; leave it out for all ports")
    return port


def check_rule_name(name: str) -> str:
    """The name, if a rule can be found again by it."""
    if name == "default":
        raise refusal("default is what violations call the section's default", "choose another name")
    return name


def check_program(text: str) -> str:
    """The text, if it is a path pattern, with or without an exclamation mark before it."""
    check_pattern(text.removeprefix("!"))
    return text


# What the sections are written with. A pattern's limit counts bytes and is checked by `check_pattern`.
Action = Literal["Allow", "Audit", "Deny", "Kill"]
NonEmpty = AfterValidator(check_filled)
Pattern = Annotated[
    str, Field(max_length=4096, json_schema_extra={"pattern": PATTERN, "minLength": 1}), AfterValidator(check_pattern)
]
CgroupPattern = Annotated[
    str, Field(max_length=1024, json_schema_extra={"pattern": PATTERN, "minLength": 1}), AfterValidator(check_pattern)
]
Program = Annotated[
    str, Field(max_length=4097, json_schema_extra={"pattern": PROGRAM, "minLength": 2}), AfterValidator(check_program)
]
Capability = Annotated[
    str, Field(max_length=64, json_schema_extra={"pattern": CAPABILITY}), AfterValidator(check_capability)
]
_CIDR_FORM = {"pattern": CIDR, "not": {"anyOf": [{"pattern": pattern} for pattern in NO_CIDR]}}
Cidr = Annotated[str, Field(max_length=64, json_schema_extra=_CIDR_FORM), AfterValidator(check_network)]
Port = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": 65535}), AfterValidator(check_port)]
RuleName = Annotated[
    str,
    Field(max_length=63, json_schema_extra={"pattern": RULE_NAME}),
    AfterValidator(_formed(RULE_NAME, "use letters, digits, - _ and . within, such as no-shells")),
    AfterValidator(check_rule_name),
]
LabelKey = Annotated[
    str,
    Field(max_length=317, json_schema_extra={"pattern": LABEL_KEY}),
    AfterValidator(_formed(LABEL_KEY, "write a label's key, such as app or app.kubernetes.io/name")),
]
LabelValue = Annotated[
    str,
    Field(max_length=63, json_schema_extra={"pattern": LABEL_VALUE}),
    AfterValidator(_formed(LABEL_VALUE, "use letters, digits, - _ and . within")),
]
ContainerName = Annotated[
    str,
    Field(max_length=63, json_schema_extra={"pattern": CONTAINER}),
    AfterValidator(_formed(CONTAINER, "write a container's name; * and ? stand for any characters")),
]
DnsName = Annotated[
    str,
    Field(max_length=253, json_schema_extra={"pattern": DNS}),
    AfterValidator(_formed(DNS, "write it like example.com or *.example.com")),
]
ObjectName = Annotated[
    str,
    Field(max_length=253, json_schema_extra={"pattern": SUBDOMAIN}),
    AfterValidator(_formed(SUBDOMAIN, "use small letters, digits, - and . within")),
]
Tag = Annotated[str, Field(min_length=1, max_length=63)]
