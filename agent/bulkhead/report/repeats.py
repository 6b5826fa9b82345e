"""Repeats that the kernel counted instead of reporting each: back to violations with a count. Pure.

The kernel's table of repeats holds numbers only; what the object and the process were is remembered here from the
record that came first. Bounded: a repeat whose record was forgotten is told by what its key says. Next step:
`report.reporter`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from ctypes import sizeof

from bulkhead import abi
from bulkhead.errors import Damaged
from bulkhead.policy.operations import OPERATION_WORDS
from bulkhead.report.decode import VERDICTS, Names, describe_key, repeated
from bulkhead.v1.violation_pb2 import Process, Violation

KEY_BYTES = sizeof(abi.RepeatKey)
VALUE_BYTES = sizeof(abi.Repeat)
SUBJECT_PID_SHIFT = 32


class Repeats:
    """The last violation of each key, serialized: at most `limit`, about 500 bytes each."""

    def __init__(self, names: Names, limit: int = abi.MAX_REPEATS) -> None:
        self._names, self._limit = names, limit
        self._remembered: OrderedDict[bytes, bytes] = OrderedDict()

    def remember(self, key: abi.RepeatKey, violation: Violation) -> None:
        """Keeps what a record told, for repeats that are swept later."""
        remembered = self._remembered
        packed = bytes(key)
        remembered[packed] = violation.SerializeToString()
        remembered.move_to_end(packed)
        if len(remembered) > self._limit:
            remembered.popitem(last=False)

    def tell(self, swept: Iterable[tuple[bytes, bytes]], offset_ns: int) -> list[tuple[abi.RepeatKey, Violation]]:
        """Violations for entries (struct repeat_key, struct repeat) that count at least one. Raises Damaged."""
        told = []
        for key_bytes, value_bytes in swept:
            key, value = parse(key_bytes, value_bytes)
            if value.count:
                basis = self._recall(key)
                told.append((key, repeated(basis, value.count, value.first_ns, value.last_ns, offset_ns)))
        return told

    def _recall(self, key: abi.RepeatKey) -> Violation:
        remembered = self._remembered.get(bytes(key))
        if remembered is not None:
            return Violation.FromString(remembered)
        violation = describe_key(key, self._names)
        violation.process.CopyFrom(Process(pid=key.subject >> SUBJECT_PID_SHIFT))
        return violation


def parse(key_bytes: bytes, value_bytes: bytes) -> tuple[abi.RepeatKey, abi.Repeat]:
    """An entry of the map `repeats`, checked. Raises Damaged."""
    if len(key_bytes) < KEY_BYTES or len(value_bytes) < VALUE_BYTES:
        raise Damaged(f"a repeat of {len(key_bytes)} and {len(value_bytes)} bytes; it is only counted")
    key = abi.RepeatKey.from_buffer_copy(key_bytes)
    if key.verdict not in VERDICTS or key.operation not in OPERATION_WORDS:
        raise Damaged(f"a repeat with verdict {key.verdict}, operation {key.operation}; it is only counted")
    return key, abi.Repeat.from_buffer_copy(value_bytes)
