"""What parses but is not enforced yet: refused by name, never accepted in silence.

One table. When something becomes enforced, its row goes. Next step: `policy.parse` reports what is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bulkhead.policy.model import Policy

Path = tuple[str | int, ...]
Found = tuple[Path, str, str]


def _given(field: str) -> Callable[[Any], bool]:
    """Whether a field of a model says something."""
    return lambda part: bool(getattr(part, field, None))


# (where, field in the document, whether it is used, what is not enforced)
# A `*` in where stands for every entry of a list.
_ROWS: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool], str], ...] = (
    (("network", "egress", "rules", "*", "to", "*"), "dns", _given("dns"), "a peer by DNS name"),
    (
        ("network", "egress", "rules", "*", "to", "*"),
        "podSelector",
        lambda peer: peer.pod_selector is not None,
        "a peer by labels of pods",
    ),
    (
        ("network", "egress", "rules", "*", "to", "*"),
        "namespaceSelector",
        lambda peer: peer.namespace_selector is not None,
        "a peer by labels of namespaces",
    ),
    (("network",), "ingress", _given("ingress"), "the section network.ingress"),
)


def unenforced() -> list[tuple[str, str]]:
    """(field, what it is) of everything in the table, for the reference page: `spec.exec.rules[].by`."""
    return [(".".join(("spec", *where, field)).replace(".*", "[]"), what) for where, field, _, what in _ROWS]


def unsupported(policy: Policy) -> Iterator[Found]:
    """(path, message, remedy) of everything in a policy that this version does not enforce."""
    for where, field, is_used, what in _ROWS:
        for path, part in _parts(policy.spec, where, ("spec",)):
            if is_used(part):
                yield (*path, field), f"{what} is not enforced yet", "leave it out: the whole policy is refused with it"


def _parts(part: Any, where: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    """Every part of a document that a row speaks of."""
    if part is None:
        return
    if not where:
        yield path, part
    elif where[0] == "*":
        for index, entry in enumerate(part):
            yield from _parts(entry, where[1:], (*path, index))
    else:
        yield from _parts(getattr(part, where[0]), where[1:], (*path, where[0]))
