"""What the API server checks beyond types and forms: rules in CEL with the remedy, and which fields go together.

A rule's price is estimated for the largest list that it can stand in, and a CRD that is too dear is not taken: so
there is CEL where there are few, combinations of fields where there are many (`JUNCTIONS`, without words of our own),
and nothing where neither reaches, such as names that are used twice. That the agent says in the policy's status. One
corpus is judged alike by both: tests/cluster/api_server. Next step: `policy.schema`.
"""

from __future__ import annotations

from typing import Any

_NAME = (
    "!has(self.name) || self.name != 'default'",
    "default is what violations call the section's default: choose another name",
)
_SECTION = (
    "has(self.default) || (has(self.rules) && size(self.rules) > 0)",
    "says nothing: write rules or a default, or leave it out",
)
_SELECTORS = (
    "!has(self.{0}) || !has(self.{0}.matchExpressions) || self.{0}.matchExpressions.all(each, "
    "(each.operator in ['In', 'NotIn']) == (has(each.values) && size(each.values) > 0))",
    "In and NotIn need values; Exists and DoesNotExist take none: leave them out",
)
_SPEC = (
    "has(self.exec) || has(self.files) || has(self.network) || has(self.capabilities) || has(self.operations)",
    "says nothing: write one of exec, files, network, capabilities, operations",
)


def _selector(name: str) -> tuple[str, str]:
    return _SELECTORS[0].format(name), f"{name}: {_SELECTORS[1]}"


_HOST_PROCESSES = (
    (
        "!has(self.hostProcesses) || !(has(self.podSelector) || has(self.containers) || has(self.namespaceSelector))",
        "podSelector, containers and namespaceSelector select pods, and hostProcesses none: leave them out, or make "
        "two policies of it",
    ),
    (
        "!has(self.hostProcesses) || !has(self.exec) || !has(self.exec.rules) || "
        "!self.exec.rules.exists(each, each.notInImage)",
        "the processes of hostProcesses have no image: name paths instead of notInImage, or leave the rule out",
    ),
    (
        "!has(self.hostProcesses) || has(self.hostProcesses.cgroups) || !has(self.network) || "
        "!has(self.network.egress)",
        "network.egress: the traffic of all processes of a node is that of its pods, too: name the cgroups in "
        "hostProcesses.cgroups",
    ),
)

# model -> what must hold of each of its kind, and what to do where it does not
RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "Spec": (_SPEC, _selector("podSelector")),
    "ClusterSpec": (
        _SPEC,
        _selector("podSelector"),
        _selector("namespaceSelector"),
        _selector("nodeSelector"),
        *_HOST_PROCESSES,
    ),
    "NetworkSection": (
        (
            "has(self.egress) || has(self.ingress) || has(self.sockets)",
            "says nothing: write egress, ingress or sockets, or leave it out",
        ),
    ),
    **dict.fromkeys(
        ("ExecSection", "FilesSection", "EgressSection", "IngressSection", "SocketsSection", "CapabilitiesSection",
         "OperationsSection"),
        (_SECTION,),
    ),
    **dict.fromkeys(("FileRule", "EgressRule", "IngressRule", "CapabilityRule", "OperationRule"), (_NAME,)),
    "ExecRule": (
        _NAME,
        (
            "has(self.paths) || self.notInImage || self.fileless",
            "the rule matches nothing: write paths, notInImage: true or fileless: true",
        ),
        (
            "!self.fileless || !has(self.paths)",
            "the rule matches nothing, because what is fileless has no path: make two rules of it",
        ),
    ),
    "PortRange": (("!has(self.endPort) || self.endPort >= self.port", "endPort is less than port: exchange them"),),
    "SocketRule": (
        _NAME,
        (
            "has(self.families) || has(self.types)",
            "the rule matches nothing: write families, types or both",
        ),
    ),
}  # fmt: skip

_PODS = {"anyOf": [{"required": ["podSelector"]}, {"required": ["namespaceSelector"]}]}
JUNCTIONS: dict[str, dict[str, Any]] = {
    # cidr, dns or selectors of pods, and except only with cidr
    "Peer": {
        "oneOf": [{"required": ["cidr"]}, {"required": ["dns"]}, _PODS],
        "anyOf": [{"required": ["cidr"]}, {"not": {"required": ["except"]}}],
    },
    # something, and endPort only with port
    "PortRange": {
        "allOf": [
            {"anyOf": [{"required": [name]} for name in ("protocol", "port", "endPort")]},
            {"anyOf": [{"required": ["port"]}, {"not": {"required": ["endPort"]}}]},
        ]
    },
}


def rules_of(model: str) -> dict[str, Any]:
    """What a model's schema has in addition; nothing for those without."""
    found: dict[str, Any] = dict(JUNCTIONS.get(model, {}))
    if model in RULES:
        found["x-kubernetes-validations"] = [{"rule": rule, "message": message} for rule, message in RULES[model]]
    return found
