"""What people write: SecurityPolicy and ClusterSecurityPolicy, group bulkhead.dev, version v1alpha1.

The one source of truth for the parser, the CRD schemas (`policy.schema`) and the reference page
(`policy.document_reference`). Descriptions are read by people (`kubectl explain`). What a document means is in
`policy.oracle`; names are resolved by `policy.resolve`.
"""

from bulkhead.policy.model.base import Model
from bulkhead.policy.model.network import (
    EgressRule,
    EgressSection,
    IngressRule,
    IngressSection,
    NetworkSection,
    Peer,
    PortRange,
    SocketRule,
    SocketsSection,
)
from bulkhead.policy.model.policies import (
    API_VERSION,
    KINDS,
    SECTIONS,
    ClusterMetadata,
    ClusterSecurityPolicy,
    ClusterSpec,
    HostProcesses,
    Metadata,
    Policy,
    SecurityPolicy,
    Spec,
)
from bulkhead.policy.model.sections import (
    CapabilitiesSection,
    CapabilityRule,
    ExecRule,
    ExecSection,
    FileRule,
    FilesSection,
    OperationRule,
    OperationsSection,
    RuleBase,
    Section,
)
from bulkhead.policy.model.selectors import LabelSelector, Requirement
from bulkhead.policy.model.texts import Action

__all__ = [
    "API_VERSION",
    "KINDS",
    "SECTIONS",
    "Action",
    "CapabilitiesSection",
    "CapabilityRule",
    "ClusterMetadata",
    "ClusterSecurityPolicy",
    "ClusterSpec",
    "EgressRule",
    "EgressSection",
    "ExecRule",
    "ExecSection",
    "FileRule",
    "FilesSection",
    "HostProcesses",
    "IngressRule",
    "IngressSection",
    "LabelSelector",
    "Metadata",
    "Model",
    "NetworkSection",
    "OperationRule",
    "OperationsSection",
    "Peer",
    "Policy",
    "PortRange",
    "Requirement",
    "RuleBase",
    "Section",
    "SecurityPolicy",
    "SocketRule",
    "SocketsSection",
    "Spec",
]
