"""What people write: SecurityPolicy and ClusterSecurityPolicy, group bulkhead.dev, version v1alpha1.

The one source of truth for the parser, the CRD schemas (`policy.schema`) and the reference page. Descriptions are read
by people (`kubectl explain`). What a document means is in `policy.oracle`; names are resolved by `policy.resolve`.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from bulkhead.policy.capabilities import CAPABILITY_NAMES, capability_number
from bulkhead.policy.patterns import check_pattern
from bulkhead.policy.refusal import did_you_mean, refusal
from bulkhead.policy.rules import Network

API_VERSION = "bulkhead.dev/v1alpha1"
MAX_RULES = 10_000
MAX_PATTERNS = 1_000
MAX_ITEMS = 256

Action = Literal["Allow", "Audit", "Deny", "Kill"]
FileOperation = Literal["Read", "Write", "Create", "Delete", "Rename", "Link", "Attributes", "Map"]
PrivilegedOperation = Literal[
    "Mount", "Ptrace", "LoadModule", "Bpf", "UserNamespace", "PerfEvent", "IoUring", "Keyring", "SetTime", "Chroot",
    "SetNamespace", "RawDevice", "ProcMem", "KernelSettings",
]  # fmt: skip
SocketFamily = Literal["unix", "inet", "inet6", "netlink", "packet", "vsock", "bluetooth", "can", "alg", "xdp", "smc"]
SocketType = Literal["stream", "dgram", "raw", "seqpacket", "rdm", "packet"]


def check_capability(name: str) -> str:
    """The name, if it is a capability."""
    if capability_number(name) is None:
        raise refusal(f"{name} is not a capability", did_you_mean(name.removeprefix("CAP_"), list(CAPABILITY_NAMES)))
    return name


def check_network(text: str) -> str:
    """The text, if it is a CIDR without host bits."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise refusal(f"{text} is not a CIDR", "write it like 10.0.0.0/8 or 2001:db8::/32") from None
    if "/" not in text:
        raise refusal(f"{text} has no prefix length", f"write {network}")
    if text.split("/", maxsplit=1)[0] != str(network.network_address) and _has_host_bits(text):
        raise refusal(f"{text} has bits set beyond its prefix", f"write {network}")
    return text


def _has_host_bits(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return True
    return False


def check_name(name: str) -> str:
    """The name, if a rule can be found again by it."""
    if name == "default" or name.startswith("rules["):
        raise refusal(f"{name} is what violations call other things", "choose another name")
    return name


Pattern = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(check_pattern)]
Capability = Annotated[str, Field(max_length=64), AfterValidator(check_capability)]
Cidr = Annotated[str, Field(max_length=64), AfterValidator(check_network)]
RuleName = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"),
    AfterValidator(check_name),
]  # fmt: skip
Program = Annotated[str, Field(min_length=1, max_length=4097)]
Port = Annotated[int, Field(ge=1, le=65535)]
ShortText = Annotated[str, Field(max_length=253)]


class Model(BaseModel):
    """What all parts of a document have in common: names in camelCase, nothing unknown, no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True)


class Requirement(Model):
    """One condition on labels."""

    key: ShortText = Field(description="The label's key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How the label is compared.")
    values: list[ShortText] = Field(
        default=[], max_length=MAX_ITEMS, description="The values to compare with: for In and NotIn only."
    )

    @model_validator(mode="after")
    def _check(self) -> Requirement:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            remedy = "give values" if not self.values else "leave values out"
            raise refusal(f"{self.operator} {'without' if not self.values else 'with'} values", remedy, ("values",))
        return self


class LabelSelector(Model):
    """A Kubernetes label selector: everything in it must hold, and an empty one selects everything."""

    match_labels: dict[ShortText, ShortText] = Field(
        default={}, max_length=MAX_ITEMS, description="Labels that must be there with exactly these values."
    )
    match_expressions: list[Requirement] = Field(
        default=[], max_length=MAX_ITEMS, description="Conditions that must all hold."
    )


class RuleBase(Model):
    """What every rule has."""

    name: RuleName | None = Field(
        default=None, description="Names the rule in violations; unique within its section. Unnamed: rules[N]."
    )
    action: Action = Field(
        description="Allow, Audit (report only), Deny (the act fails with EPERM) or Kill (the process ends, too)."
    )
    by: list[Program] = Field(
        default=[],
        max_length=MAX_ITEMS,
        description='Only when the acting program is one of these, or, with "!", none of these.',
    )


class ExecRule(RuleBase):
    """Which programs may be started."""

    paths: list[Pattern] = Field(
        default=[],
        max_length=MAX_PATTERNS,
        description="Programs, as the container sees them: /usr/bin/apt, /sbin/** (everything below), /usr/bin/apt*.",
    )
    not_in_image: bool = Field(default=False, description="Files that were not in the container's image.")
    fileless: bool = Field(default=False, description="Programs that have no file: from memory, or deleted.")

    @model_validator(mode="after")
    def _check(self) -> ExecRule:
        if not (self.paths or self.not_in_image or self.fileless):
            raise refusal("the rule matches nothing", "give paths, notInImage: true or fileless: true")
        return self


class FileRule(RuleBase):
    """What may be done to files."""

    paths: list[Pattern] = Field(
        min_length=1,
        max_length=MAX_PATTERNS,
        description="Files, as the container sees them: /etc/shadow, /var/run/secrets/**, /home/*/.ssh/*.",
    )
    operations: list[FileOperation] | None = Field(
        default=None, min_length=1, max_length=8, description="What is done to them. Omitted: everything."
    )


class Peer(Model):
    """The other end of a connection: an address range, a DNS name, or pods."""

    cidr: Cidr | None = Field(default=None, description="An address range, such as 10.0.0.0/8.")
    excluded: list[Cidr] = Field(
        default=[], alias="except", max_length=MAX_ITEMS, description="Parts of cidr that are left out."
    )
    dns: ShortText | None = Field(default=None, description='A DNS name, such as "*.example.com".')
    pod_selector: LabelSelector | None = Field(default=None, description="Pods by their labels.")
    namespace_selector: LabelSelector | None = Field(default=None, description="Pods by their namespace's labels.")

    @model_validator(mode="after")
    def _check(self) -> Peer:
        selects_pods = self.pod_selector is not None or self.namespace_selector is not None
        if (self.cidr is not None) + (self.dns is not None) + selects_pods != 1:
            raise refusal("a peer is one of cidr, dns, or selectors of pods", "give one of them, and only one")
        if self.excluded and self.cidr is None:
            raise refusal("except without cidr", "give the cidr that it is a part of", ("except",))
        for index, text in enumerate(self.excluded):
            _check_excluded(ip_network(str(self.cidr)), ip_network(text), ("except", index))
        return self


def _check_excluded(whole: Network, part: Network, at: tuple[str | int, ...]) -> None:
    inside = part.version == whole.version and part.subnet_of(whole)  # type: ignore[arg-type]  # same version
    if not inside or part == whole:
        raise refusal(f"{part} is not a part of {whole}", "name a smaller range within cidr", at)


class PortRange(Model):
    """A port, or a range of ports, of one protocol."""

    protocol: Literal["TCP", "UDP"] = Field(default="TCP", description="TCP or UDP.")
    port: Port | None = Field(default=None, description="The port, or the first one of a range. Omitted: all ports.")
    end_port: Port | None = Field(default=None, description="The last port of a range.")

    @model_validator(mode="after")
    def _check(self) -> PortRange:
        if self.end_port is not None and self.port is None:
            raise refusal("endPort without port", "give the first port of the range", ("endPort",))
        if self.end_port is not None and self.port is not None and self.end_port < self.port:
            raise refusal(
                "endPort is less than port", f"write port: {self.end_port}, endPort: {self.port}", ("endPort",)
            )
        return self


class EgressRule(RuleBase):
    """Where connections and packets may go."""

    to: list[Peer] = Field(default=[], max_length=MAX_PATTERNS, description="Destinations. Omitted: everywhere.")
    ports: list[PortRange] = Field(default=[], max_length=MAX_ITEMS, description="Ports. Omitted: every protocol.")


class IngressRule(RuleBase):
    """Where connections and packets may come from."""

    from_: list[Peer] = Field(
        default=[], alias="from", max_length=MAX_PATTERNS, description="Sources. Omitted: everywhere."
    )
    ports: list[PortRange] = Field(default=[], max_length=MAX_ITEMS, description="Ports. Omitted: every protocol.")


class SocketRule(RuleBase):
    """Which sockets may be made."""

    families: list[SocketFamily] = Field(default=[], max_length=32, description="Address families.")
    types: list[SocketType] = Field(default=[], max_length=8, description="Types.")

    @model_validator(mode="after")
    def _check(self) -> SocketRule:
        if not (self.families or self.types):
            raise refusal("the rule matches nothing", "give families or types")
        return self


class CapabilityRule(RuleBase):
    """Which capabilities may be used."""

    names: list[Capability] = Field(
        min_length=1, max_length=64, description="Capabilities, with or without CAP_: NET_RAW, SYS_ADMIN."
    )


class OperationRule(RuleBase):
    """Which privileged operations may be done."""

    names: list[PrivilegedOperation] = Field(min_length=1, max_length=32, description="Privileged operations.")


class Section(Model):
    """What every section has: a default, and rules with unique names."""

    default: Action | None = Field(
        default=None, description="The verdict where no rule of any policy matches; the strictest default wins."
    )

    @model_validator(mode="after")
    def _check_names(self) -> Section:
        seen: set[str] = set()
        for index, rule in enumerate(getattr(self, "rules", [])):
            if rule.name in seen:
                raise refusal(f"two rules are called {rule.name}", "rename one", ("rules", index, "name"))
            if rule.name:
                seen.add(rule.name)
        return self


class ExecSection(Section):
    """Starting programs."""

    rules: list[ExecRule] = Field(default=[], max_length=MAX_RULES, description="Rules on programs.")


class FilesSection(Section):
    """Using files."""

    rules: list[FileRule] = Field(default=[], max_length=MAX_RULES, description="Rules on files.")


class EgressSection(Section):
    """Outgoing connections and packets."""

    rules: list[EgressRule] = Field(default=[], max_length=MAX_RULES, description="Rules on destinations.")


class IngressSection(Section):
    """Incoming connections and packets."""

    rules: list[IngressRule] = Field(default=[], max_length=MAX_RULES, description="Rules on sources.")


class SocketsSection(Section):
    """Making sockets."""

    rules: list[SocketRule] = Field(default=[], max_length=MAX_RULES, description="Rules on sockets.")


class NetworkSection(Model):
    """The network."""

    egress: EgressSection | None = Field(default=None, description="What may leave.")
    ingress: IngressSection | None = Field(default=None, description="What may come in.")
    sockets: SocketsSection | None = Field(default=None, description="Which sockets may be made.")


class CapabilitiesSection(Section):
    """Using capabilities."""

    rules: list[CapabilityRule] = Field(default=[], max_length=MAX_RULES, description="Rules on capabilities.")


class OperationsSection(Section):
    """Privileged kernel operations."""

    rules: list[OperationRule] = Field(default=[], max_length=MAX_RULES, description="Rules on operations.")


class Spec(Model):
    """What a policy selects and what it says."""

    pod_selector: LabelSelector = Field(
        default=LabelSelector(), description="The pods that the policy selects; {} selects all."
    )
    containers: list[ShortText] = Field(
        default=[], max_length=MAX_ITEMS, description='Containers by name, with * and ?: "web", "init-*". Omitted: all.'
    )
    mode: Literal["Enforce", "Audit", "Disabled"] = Field(
        default="Enforce", description="Enforce; Audit (decide and report, never block); Disabled."
    )
    severity: Literal["Low", "Medium", "High", "Critical"] = Field(
        default="Medium", description="Goes into every violation."
    )
    message: str = Field(default="", max_length=1024, description="Goes into every violation: why this is forbidden.")
    tags: list[ShortText] = Field(default=[], max_length=64, description="Go into every violation.")
    exec: ExecSection | None = Field(default=None, description="Starting programs.")
    files: FilesSection | None = Field(default=None, description="Using files.")
    network: NetworkSection | None = Field(default=None, description="The network.")
    capabilities: CapabilitiesSection | None = Field(default=None, description="Using capabilities.")
    operations: OperationsSection | None = Field(default=None, description="Privileged kernel operations.")


class ClusterSpec(Spec):
    """What a cluster-wide policy selects and what it says."""

    namespace_selector: LabelSelector = Field(
        default=LabelSelector(), description="The namespaces whose pods are selected; {} selects all."
    )
    node_selector: LabelSelector | None = Field(
        default=None, description="Nodes whose own processes, those of no pod, are selected."
    )


class Metadata(Model):
    """Name and namespace; what the API server adds is dropped before."""

    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    namespace: str = Field(default="default", min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")


class Document(Model):
    """What both kinds have in common."""

    api_version: Literal["bulkhead.dev/v1alpha1"]
    metadata: Metadata

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name


class SecurityPolicy(Document):
    """Rules for pods of one namespace."""

    kind: Literal["SecurityPolicy"]
    spec: Spec

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return self.metadata.namespace


class ClusterSecurityPolicy(Document):
    """Rules for pods of all namespaces, and for processes of nodes."""

    kind: Literal["ClusterSecurityPolicy"]
    spec: ClusterSpec

    @property
    def namespace(self) -> str:
        """Cluster-wide objects have none."""
        return ""


Policy = SecurityPolicy | ClusterSecurityPolicy
KINDS: dict[str, type[SecurityPolicy] | type[ClusterSecurityPolicy]] = {
    "SecurityPolicy": SecurityPolicy,
    "ClusterSecurityPolicy": ClusterSecurityPolicy,
}
