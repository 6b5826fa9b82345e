"""Documents for tests: the shortest valid one, and hypothesis strategies for any."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from bulkhead.policy.capabilities import CAPABILITY_NAMES
from bulkhead.policy.model import API_VERSION

HEAD = f"apiVersion: {API_VERSION}\nkind: SecurityPolicy\nmetadata: {{name: NAME}}\nspec:\n"
ACTIONS = st.sampled_from(["Allow", "Audit", "Deny", "Kill"])
WORDS = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
ELEMENTS = st.one_of(WORDS, st.sampled_from(["*", "a?", "**", "ä*", "[x]"]))


def text_of(body: str, name: str = "web") -> str:
    """A SecurityPolicy whose spec is `body`, indented by two."""
    return HEAD.replace("NAME", name) + body


def _maybe(strategies: dict[str, st.SearchStrategy[Any]], **required: st.SearchStrategy[Any]) -> Any:
    return st.fixed_dictionaries(required, optional=strategies)


def _lists(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=1, max_size=2)


def _is_pattern(elements: list[str]) -> bool:
    return not any(pair == ("**", "**") for pair in pairwise(elements))


PATHS = _lists(st.lists(ELEMENTS, min_size=1, max_size=3).filter(_is_pattern).map(lambda each: "/" + "/".join(each)))
EXPRESSIONS = st.one_of(
    st.fixed_dictionaries({"key": WORDS, "operator": st.sampled_from(["In", "NotIn"]), "values": _lists(WORDS)}),
    st.fixed_dictionaries({"key": WORDS, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
SELECTORS = _maybe(
    {
        "matchLabels": st.dictionaries(WORDS, WORDS, max_size=2),
        "matchExpressions": st.lists(EXPRESSIONS, max_size=2),
    }
)
CIDRS = st.sampled_from(["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "192.0.2.1/32"])
PEERS = st.one_of(
    st.fixed_dictionaries({"cidr": CIDRS}),
    st.just({"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}),
    st.fixed_dictionaries({"dns": st.sampled_from(["example.com", "*.example.com"])}),
    st.fixed_dictionaries({"podSelector": SELECTORS}, optional={"namespaceSelector": SELECTORS}),
)
PORTS = st.one_of(
    _maybe({"port": st.integers(1, 65535)}, protocol=st.sampled_from(["TCP", "UDP"])),
    st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda ends: {"port": min(ends), "endPort": max(ends)}),
)
BY = _lists(st.sampled_from(["/usr/bin/bash", "!/usr/bin/web", "/opt/**"]))
COMMON: dict[str, st.SearchStrategy[Any]] = {"by": BY}


def _section(rule: st.SearchStrategy[dict[str, Any]]) -> Any:
    """A section with a default, and rules of which the first is named."""
    named = st.lists(rule, max_size=2).map(lambda rules: [{**each, "name": f"r{n}"} for n, each in enumerate(rules)])
    return _maybe({"rules": named}, default=ACTIONS)


def _rule(optional: dict[str, st.SearchStrategy[Any]], **required: st.SearchStrategy[Any]) -> Any:
    return _maybe({**COMMON, **optional}, action=ACTIONS, **required)


FILE_OPERATIONS = st.sampled_from(["Read", "Write", "Create", "Delete", "Rename", "Link", "Attributes", "Map"])
SECTIONS: dict[str, st.SearchStrategy[Any]] = {
    "exec": _section(st.one_of(_rule({"notInImage": st.booleans()}, paths=PATHS), _rule({}, fileless=st.just(True)))),
    "files": _section(_rule({"operations": _lists(FILE_OPERATIONS)}, paths=PATHS)),
    "network": st.one_of(
        st.fixed_dictionaries({"egress": _section(_rule({"to": _lists(PEERS), "ports": _lists(PORTS)}))}),
        st.fixed_dictionaries({"ingress": _section(_rule({"from": _lists(PEERS), "ports": _lists(PORTS)}))}),
        st.fixed_dictionaries({"sockets": _section(_rule({}, families=_lists(st.sampled_from(["packet", "vsock"]))))}),
    ),
    "capabilities": _section(_rule({}, names=_lists(st.sampled_from(CAPABILITY_NAMES)))),
    "operations": _section(_rule({}, names=_lists(st.sampled_from(["Mount", "Bpf"])))),
}
SPEC: dict[str, st.SearchStrategy[Any]] = {
    "podSelector": SELECTORS,
    "containers": _lists(st.sampled_from(["web", "init-*", "a?"])),
    "mode": st.sampled_from(["Enforce", "Audit", "Disabled"]),
    "severity": st.sampled_from(["Low", "Medium", "High", "Critical"]),
    "message": st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    "tags": st.lists(WORDS, max_size=2),
}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Any valid document, as plain data, with at least one section."""
    first = draw(st.sampled_from(sorted(SECTIONS)))
    rest = draw(st.fixed_dictionaries({}, optional={**SPEC, **SECTIONS}))
    spec = {**rest, first: draw(SECTIONS[first])}
    metadata = {"name": draw(WORDS)}
    kind = draw(st.sampled_from(["SecurityPolicy", "ClusterSecurityPolicy"]))
    if kind == "SecurityPolicy":
        metadata |= draw(_maybe({"namespace": WORDS}))
    else:
        spec |= draw(_maybe({"namespaceSelector": SELECTORS, "nodeSelector": SELECTORS}))
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
