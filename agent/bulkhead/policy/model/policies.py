"""The two kinds of documents. Their fields are in `sections`, `network` and `selectors`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from bulkhead.policy.model.base import MAX_ITEMS, Model
from bulkhead.policy.model.network import NetworkSection
from bulkhead.policy.model.sections import CapabilitiesSection, ExecSection, FilesSection, OperationsSection
from bulkhead.policy.model.selectors import LabelSelector
from bulkhead.policy.model.texts import CgroupPattern, ContainerName, NonEmpty, ObjectName, Tag
from bulkhead.policy.refusal import refusal

API_VERSION = "bulkhead.dev/v1alpha1"
ONE_OF_BOTH = "leave it out, or make two policies of it"
SECTIONS = ("exec", "files", "network", "capabilities", "operations")


class Spec(Model):
    """What a policy selects and what it says."""

    pod_selector: LabelSelector = Field(
        default=LabelSelector(),
        description="The pods that the policy holds for, by their labels. Omitted or `{}`: all.",
    )
    containers: Annotated[list[ContainerName], NonEmpty] = Field(
        default=[],
        max_length=MAX_ITEMS,
        json_schema_extra={"minItems": 1},
        description='The containers of these pods by name, with `*` and `?`: `["web", "init-*"]`. Init, sidecar and '
        "ephemeral containers count like any other. Omitted: all.",
    )
    mode: Literal["Enforce", "Audit", "Disabled"] = Field(
        default="Enforce",
        description="`Enforce`; `Audit`: decide and report as WOULD_DENY, but block nothing; `Disabled`: as if it were "
        "not there.",
    )
    severity: Literal["Low", "Medium", "High", "Critical"] = Field(
        default="Medium", description="How much a violation matters; it is shown in each."
    )
    message: str = Field(
        default="", max_length=1024, description="Shown in every violation: why it is forbidden, what to do instead."
    )
    tags: list[Tag] = Field(
        default=[], max_length=64, description="Shown in every violation, for filters: `[pci, T1059]`."
    )
    exec: ExecSection | None = Field(default=None, description="Starting programs.")
    files: FilesSection | None = Field(default=None, description="Using files.")
    network: NetworkSection | None = Field(default=None, description="The network.")
    capabilities: CapabilitiesSection | None = Field(
        default=None, description="Using capabilities. A use that is refused fails with EPERM, also for root."
    )
    operations: OperationsSection | None = Field(default=None, description="Privileged operations of the kernel.")

    def refusals(self) -> Iterator[PydanticCustomError]:
        """A policy that says nothing."""
        if not self.model_fields_set.intersection(SECTIONS):
            yield refusal("says nothing", f"write one of {', '.join(SECTIONS)}")


class HostProcesses(Model):
    """Processes of nodes that are in no pod, by their cgroups."""

    cgroups: Annotated[list[CgroupPattern], NonEmpty] = Field(
        default=[],
        max_length=MAX_ITEMS,
        json_schema_extra={"minItems": 1},
        description="The cgroups that they are in, with all below these, as patterns of paths: "
        "`/system.slice/ssh.service`, `/user.slice/**`. Omitted: all but those of pods and other containers.",
    )


class ClusterSpec(Spec):
    """What a cluster-wide policy selects and what it says."""

    namespace_selector: LabelSelector = Field(
        default=LabelSelector(),
        description="The namespaces whose pods the policy holds for, by their labels. Omitted or `{}`: all.",
    )
    node_selector: LabelSelector = Field(
        default=LabelSelector(),
        description="The nodes on which the policy holds, by the nodes' labels. Omitted or `{}`: all.",
    )
    host_processes: HostProcesses | None = Field(
        default=None,
        description="With it the policy holds for processes of the nodes themselves, and for no pods; `{}` is all that "
        "are in no pod.",
    )

    def refusals(self) -> Iterator[PydanticCustomError]:
        """What cannot be said of processes that are in no pod."""
        yield from super().refusals()
        if self.host_processes is None:
            return
        for name in ("pod_selector", "containers", "namespace_selector"):
            if name in self.model_fields_set:
                yield refusal("selects pods, and hostProcesses none", ONE_OF_BOTH, (to_camel(name),))
        for index, rule in enumerate(self.exec.rules if self.exec else ()):
            if rule.not_in_image:
                at = ("exec", "rules", index, "notInImage")
                yield refusal("the processes of hostProcesses have no image", "name paths, or leave the rule out", at)
        if self.network and self.network.egress and not self.host_processes.cgroups:
            yield refusal(
                "the traffic of all processes of a node is that of its pods, too",
                "name the cgroups in hostProcesses.cgroups",
                ("network", "egress"),
            )


class ClusterMetadata(Model):
    """The object's name; what the API server adds is dropped before."""

    name: ObjectName = Field(description="The object's name.")


class Metadata(ClusterMetadata):
    """Name and namespace."""

    namespace: ObjectName = Field(default="default", max_length=63, description="The pods' namespace.")


class SecurityPolicy(Model):
    """What containers of one namespace may do: programs, files, network, capabilities, privileged operations."""

    api_version: Literal["bulkhead.dev/v1alpha1"]
    kind: Literal["SecurityPolicy"]
    metadata: Metadata
    spec: Spec = Field(description="What the policy selects and what it says.")

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return self.metadata.namespace


class ClusterSecurityPolicy(Model):
    """What containers of all namespaces may do, or of some, on all nodes or on some; or the nodes' own processes."""

    api_version: Literal["bulkhead.dev/v1alpha1"]
    kind: Literal["ClusterSecurityPolicy"]
    metadata: ClusterMetadata
    spec: ClusterSpec = Field(description="What the policy selects and what it says.")

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Cluster-wide objects have none."""
        return ""


Policy = SecurityPolicy | ClusterSecurityPolicy
KINDS: dict[str, type[SecurityPolicy] | type[ClusterSecurityPolicy]] = {
    "SecurityPolicy": SecurityPolicy,
    "ClusterSecurityPolicy": ClusterSecurityPolicy,
}
