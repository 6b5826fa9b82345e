import datetime

from bulkhead.v1 import violation_pb2 as _violation_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Filter(_message.Message):
    __slots__ = ("policy", "namespace", "pod", "node", "verdicts")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    policy: str
    namespace: str
    pod: str
    node: str
    verdicts: _containers.RepeatedScalarFieldContainer[_violation_pb2.Verdict]
    def __init__(self, policy: _Optional[str] = ..., namespace: _Optional[str] = ..., pod: _Optional[str] = ..., node: _Optional[str] = ..., verdicts: _Optional[_Iterable[_Union[_violation_pb2.Verdict, str]]] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("filter", "cursor", "since")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    filter: Filter
    cursor: int
    since: _timestamp_pb2.Timestamp
    def __init__(self, filter: _Optional[_Union[Filter, _Mapping]] = ..., cursor: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("cursor", "entries", "lag", "caught_up")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    entries: StoredEntries
    lag: Lag
    caught_up: CaughtUp
    def __init__(self, cursor: _Optional[int] = ..., entries: _Optional[_Union[StoredEntries, _Mapping]] = ..., lag: _Optional[_Union[Lag, _Mapping]] = ..., caught_up: _Optional[_Union[CaughtUp, _Mapping]] = ...) -> None: ...

class StoredEntries(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[StoredEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[StoredEntry, _Mapping]]] = ...) -> None: ...

class StoredEntry(_message.Message):
    __slots__ = ("cursor", "id", "entry")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    id: str
    entry: _violation_pb2.Entry
    def __init__(self, cursor: _Optional[int] = ..., id: _Optional[str] = ..., entry: _Optional[_Union[_violation_pb2.Entry, _Mapping]] = ...) -> None: ...

class Lag(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    def __init__(self, entries: _Optional[int] = ...) -> None: ...

class CaughtUp(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("filter", "cursor", "since", "until", "limit")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    filter: Filter
    cursor: int
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    limit: int
    def __init__(self, filter: _Optional[_Union[Filter, _Mapping]] = ..., cursor: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limit: _Optional[int] = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("entries", "cursor", "complete")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[StoredEntry]
    cursor: int
    complete: bool
    def __init__(self, entries: _Optional[_Iterable[_Union[StoredEntry, _Mapping]]] = ..., cursor: _Optional[int] = ..., complete: _Optional[bool] = ...) -> None: ...
