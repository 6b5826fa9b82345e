import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_DENIED: _ClassVar[Verdict]
    VERDICT_KILLED: _ClassVar[Verdict]
    VERDICT_AUDITED: _ClassVar[Verdict]
    VERDICT_WOULD_DENY: _ClassVar[Verdict]

class GapReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_REASON_UNSPECIFIED: _ClassVar[GapReason]
    GAP_REASON_KERNEL_FULL: _ClassVar[GapReason]
    GAP_REASON_RECORD_DAMAGED: _ClassVar[GapReason]
    GAP_REASON_SPOOL_FULL: _ClassVar[GapReason]
    GAP_REASON_SPOOL_DAMAGED: _ClassVar[GapReason]
    GAP_REASON_DISK_FULL: _ClassVar[GapReason]
    GAP_REASON_EXPIRED: _ClassVar[GapReason]
VERDICT_UNSPECIFIED: Verdict
VERDICT_DENIED: Verdict
VERDICT_KILLED: Verdict
VERDICT_AUDITED: Verdict
VERDICT_WOULD_DENY: Verdict
GAP_REASON_UNSPECIFIED: GapReason
GAP_REASON_KERNEL_FULL: GapReason
GAP_REASON_RECORD_DAMAGED: GapReason
GAP_REASON_SPOOL_FULL: GapReason
GAP_REASON_SPOOL_DAMAGED: GapReason
GAP_REASON_DISK_FULL: GapReason
GAP_REASON_EXPIRED: GapReason

class Entry(_message.Message):
    __slots__ = ("sequence", "violation", "gap")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    VIOLATION_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    violation: Violation
    gap: Gap
    def __init__(self, sequence: _Optional[int] = ..., violation: _Optional[_Union[Violation, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ...) -> None: ...

class Violation(_message.Message):
    __slots__ = ("time", "boot_time_ns", "verdict", "blocked", "policy", "policy_namespace", "rule", "rule_id", "severity", "message", "tags", "operation", "object", "process", "pod", "namespace", "container", "image", "workload", "labels", "node", "cgroup", "cgroup_id", "count", "first_time", "last_time", "truncated", "unresolved", "program_unknown")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TIME_FIELD_NUMBER: _ClassVar[int]
    BOOT_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    CGROUP_FIELD_NUMBER: _ClassVar[int]
    CGROUP_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    UNRESOLVED_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    boot_time_ns: int
    verdict: Verdict
    blocked: bool
    policy: str
    policy_namespace: str
    rule: str
    rule_id: str
    severity: str
    message: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    operation: str
    object: Object
    process: Process
    pod: str
    namespace: str
    container: str
    image: str
    workload: str
    labels: _containers.ScalarMap[str, str]
    node: str
    cgroup: str
    cgroup_id: int
    count: int
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    truncated: bool
    unresolved: bool
    program_unknown: bool
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., boot_time_ns: _Optional[int] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., blocked: _Optional[bool] = ..., policy: _Optional[str] = ..., policy_namespace: _Optional[str] = ..., rule: _Optional[str] = ..., rule_id: _Optional[str] = ..., severity: _Optional[str] = ..., message: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., operation: _Optional[str] = ..., object: _Optional[_Union[Object, _Mapping]] = ..., process: _Optional[_Union[Process, _Mapping]] = ..., pod: _Optional[str] = ..., namespace: _Optional[str] = ..., container: _Optional[str] = ..., image: _Optional[str] = ..., workload: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., node: _Optional[str] = ..., cgroup: _Optional[str] = ..., cgroup_id: _Optional[int] = ..., count: _Optional[int] = ..., first_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., truncated: _Optional[bool] = ..., unresolved: _Optional[bool] = ..., program_unknown: _Optional[bool] = ...) -> None: ...

class Object(_message.Message):
    __slots__ = ("path", "address", "capability", "socket", "pid", "in_file_system")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    SOCKET_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    IN_FILE_SYSTEM_FIELD_NUMBER: _ClassVar[int]
    path: bytes
    address: Address
    capability: str
    socket: str
    pid: int
    in_file_system: bool
    def __init__(self, path: _Optional[bytes] = ..., address: _Optional[_Union[Address, _Mapping]] = ..., capability: _Optional[str] = ..., socket: _Optional[str] = ..., pid: _Optional[int] = ..., in_file_system: _Optional[bool] = ...) -> None: ...

class Address(_message.Message):
    __slots__ = ("ip", "port", "protocol")
    IP_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    ip: bytes
    port: int
    protocol: int
    def __init__(self, ip: _Optional[bytes] = ..., port: _Optional[int] = ..., protocol: _Optional[int] = ...) -> None: ...

class Process(_message.Message):
    __slots__ = ("pid", "container_pid", "executable", "arguments", "comm", "uid", "gid", "start_time", "parents", "from_packet", "arguments_truncated")
    PID_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_PID_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    COMM_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    GID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    FROM_PACKET_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    pid: int
    container_pid: int
    executable: bytes
    arguments: _containers.RepeatedScalarFieldContainer[bytes]
    comm: bytes
    uid: int
    gid: int
    start_time: _timestamp_pb2.Timestamp
    parents: _containers.RepeatedCompositeFieldContainer[Parent]
    from_packet: bool
    arguments_truncated: bool
    def __init__(self, pid: _Optional[int] = ..., container_pid: _Optional[int] = ..., executable: _Optional[bytes] = ..., arguments: _Optional[_Iterable[bytes]] = ..., comm: _Optional[bytes] = ..., uid: _Optional[int] = ..., gid: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., parents: _Optional[_Iterable[_Union[Parent, _Mapping]]] = ..., from_packet: _Optional[bool] = ..., arguments_truncated: _Optional[bool] = ...) -> None: ...

class Parent(_message.Message):
    __slots__ = ("pid", "comm")
    PID_FIELD_NUMBER: _ClassVar[int]
    COMM_FIELD_NUMBER: _ClassVar[int]
    pid: int
    comm: bytes
    def __init__(self, pid: _Optional[int] = ..., comm: _Optional[bytes] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("count", "node", "cgroup", "rule", "reason", "detail", "first_time", "last_time", "policy", "policy_namespace", "pod", "namespace", "verdict")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    CGROUP_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    count: int
    node: str
    cgroup: str
    rule: str
    reason: GapReason
    detail: str
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    policy: str
    policy_namespace: str
    pod: str
    namespace: str
    verdict: Verdict
    def __init__(self, count: _Optional[int] = ..., node: _Optional[str] = ..., cgroup: _Optional[str] = ..., rule: _Optional[str] = ..., reason: _Optional[_Union[GapReason, str]] = ..., detail: _Optional[str] = ..., first_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., policy: _Optional[str] = ..., policy_namespace: _Optional[str] = ..., pod: _Optional[str] = ..., namespace: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ...) -> None: ...
