"""Which containers may start, in the kernel: those that an agent has told of, where that is asked for.

The programs (probes/start.bpf.c) refuse a container that is not known to execute anything, also while no agent runs.
What is known is told before it is asked for, or what runs already could not go on. Next step: `agent.cluster.strict`
says when.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bulkhead import abi
from bulkhead.enforcement.anchor_numbers import AnchorNumbers
from bulkhead.errors import NotEnforceable
from bulkhead.kernel.instance import Instance
from bulkhead.kernel.maps import pack, word
from bulkhead.node.anchors import mount_id_of
from bulkhead.node.mounts import device_number, parse

NANOSECONDS = 1_000_000_000
_U64 = struct.Struct("<Q")


@dataclass(frozen=True)
class Order:
    """What is asked for: that containers below the cgroup `below` (id) are known, or do not start.

    `runtime` is its process, whose root directory whoever prepares a container has. Whoever mounts the folder `state`
    is an agent, and starts. `lapse_s` after the last sign of an agent everything starts; 0: never. `sandboxes`:
    the runtime gives each pod a process of its own, which comes first and starts.
    """

    below: int
    runtime: int
    state: Path
    lapse_s: float
    sandboxes: bool


class Starts:
    """The maps `start_rule` and `known`."""

    def __init__(self, instance: Instance) -> None:
        self._numbers = AnchorNumbers(instance)
        self._start, self._known = instance.maps["start_rule"], instance.maps["known"]
        self._order: Order | None = None
        self._written = abi.StartRule()

    def allow(self, cgroup_ids: Iterable[int]) -> None:
        """These, and what is below them, are known from now on, until they are gone. Raises `DoesNotFit`."""
        for each in cgroup_ids:
            self._known.put(_U64.pack(each), word(abi.Known.TOLD))

    def ask(self, order: Order) -> None:
        """Ask for it, and give a sign. Raises `NotEnforceable`: what was asked for before holds."""
        if order != self._order:
            self._written = self._located(order)
            self._order = order
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._written.since_ns = self.since_ns() or now_ns
        self._written.sign_ns = now_ns
        self._start.put(word(0), pack(self._written))

    def ask_no_more(self) -> None:
        """Everything starts."""
        if self.is_asked():
            self._start.put(word(0), pack(abi.StartRule()))
        self._order = None

    def is_asked(self) -> bool:
        """Whether it holds now, by this agent's word or an earlier one's."""
        return bool(self._in_kernel().below)

    def since_ns(self) -> int:
        """Since when it holds without a break, by the clock BOOTTIME; 0 where it does not: not asked, or lapsed."""
        found = self._in_kernel()
        silent_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - found.sign_ns
        lapsed = found.lapse_ns and silent_ns > found.lapse_ns
        return 0 if lapsed or not found.below else int(found.since_ns)

    def _in_kernel(self) -> abi.StartRule:
        raw = self._start.get(word(0))
        return abi.StartRule.from_buffer_copy(raw) if raw else abi.StartRule()

    def take_lapsed(self) -> int:
        """How many containers that are still there started only because no agent had given a sign for too long."""
        lapsed = [key for key, value in self._known.items() if value == word(abi.Known.LAPSED)]
        for key in lapsed:
            self._known.put(key, word(abi.Known.TOLD))
        return len(lapsed)

    def _located(self, order: Order) -> abi.StartRule:
        try:
            runtime = Path(f"/proc/{order.runtime}")
            with _opened(runtime / "root") as root, _opened(order.state) as state:
                return abi.StartRule(
                    below=order.below,
                    lapse_ns=int(order.lapse_s * NANOSECONDS),
                    state=os.fstat(state).st_ino,
                    state_device=device_number(_device(state, Path("/proc/self"))),
                    root=self._numbers.number_of(root, _device(root, runtime)),
                    sandboxes=order.sandboxes,
                )
        except OSError as error:
            raise NotEnforceable(f"{error.filename}: {error.strerror}; what was asked of starts goes on") from error


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _device(directory: int, process: Path) -> tuple[int, int]:
    """The file system's own, major and minor: some show another one to stat(2). `process` sees it mounted."""
    mount_id = mount_id_of(directory)
    for mount in parse((process / "mountinfo").read_bytes()):
        if mount.mount_id == mount_id:
            return mount.device
    raise NotEnforceable(f"{process}: mount {mount_id} is not in its table; what was asked of starts goes on")
