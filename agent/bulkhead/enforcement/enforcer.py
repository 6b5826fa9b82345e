"""Puts containers under policy sets: the one place where a ruling is written.

For one container: what it sees (`roots`), its rules as they hold there (`localise`), merged and lowered (`policy`),
placed (`sets`), the states from which the kernel's walk starts (anchors), and then one word in the map `containers`,
which is the moment at which the new set takes effect. Whatever fails before leaves the old set in force.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bulkhead import abi
from bulkhead.enforcement.bindings import Bindings
from bulkhead.enforcement.localise import localise
from bulkhead.enforcement.placement import place_state
from bulkhead.enforcement.ranges import Numbers
from bulkhead.enforcement.records import ContainerRecord, Records
from bulkhead.enforcement.roots import RootView, look_at, mount_namespace
from bulkhead.enforcement.sets import Sets, StoredSet, wait_for_programs
from bulkhead.kernel.instance import Instance
from bulkhead.kernel.maps import pack, word
from bulkhead.log import get_log
from bulkhead.node.container import Container
from bulkhead.policy.automaton.walk import state_after
from bulkhead.policy.image import SetImage
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.rules import PolicyRules, RuleReference

log = get_log()


@dataclass
class _Bound:
    """A container under a set."""

    record: ContainerRecord
    stored: StoredSet
    has_network: bool


class Enforcer:
    """Everything that is enforced on this node, by cgroup id."""

    def __init__(self, instance: Instance, records: Records) -> None:
        self._instance = instance
        self._records = records
        self._sets = Sets(instance.maps)
        self._indices = Numbers("containers under policy on this node", 1, abi.MAX_CONTAINERS)
        self._bindings = Bindings(instance.maps["bindings"], instance.bundle.parameters)
        self._bound: dict[int, _Bound] = {}
        self._by_index: dict[int, _Bound] = {}

    def adopt(self) -> tuple[Container, ...]:
        """Take over what an earlier process enforced; returns its containers. Clears the records of other maps."""
        if not self._instance.maps_kept:
            self._records.clear()
            return ()
        stored = {each.digest: each for each in self._records.sets()}
        for each in stored.values():
            self._sets.adopt(each)
        for record in self._records.containers():
            if record.set_digest in stored and self._is_in_force(record, stored[record.set_digest]):
                self._adopt_container(record, stored[record.set_digest])
        self._sets.discard_unused()
        return tuple(bound.record.container for bound in self._bound.values())

    def enforce(self, container: Container, policies: Iterable[PolicyRules]) -> bool:
        """Put a container under these policies; whether anything changed.

        Raises `DoesNotFit`, `NotEnforceable`: what was enforced on the container stays so.
        """
        bound = self._bound.get(container.cgroup_id)
        with look_at(container.pid or 1) as view:
            image = lower(merge(localise(rules, view.follow) for rules in policies), view.groups())
            signature = _signature(image, view)
            if bound and bound.record.signature == signature:
                return False
            made = self._prepare(container, image, view, signature, bound)
        self._switch(made, bound)
        return True

    def is_stale(self, container: Container) -> bool:
        """Whether the container has got another mount namespace since it was bound: enforce it again."""
        bound = self._bound.get(container.cgroup_id)
        return bound is None or bound.record.mount_namespace != mount_namespace(container.pid or 1)

    def release(self, cgroup_id: int) -> None:
        """Take a container out from under its set; also fine where its cgroup is gone."""
        bound = self._bound.pop(cgroup_id, None)
        if bound is None:
            return
        record = bound.record
        self._instance.maps["containers"].put(word(record.index), struct.pack("<Q", 0))
        self._bindings.unbind(record.container.cgroup)
        self._instance.detach_cgroup(cgroup_id)
        wait_for_programs()
        self._remove_anchors(record)
        self._records.remove_container(record.index)
        self._release_set(bound.stored)
        self._remove_counters(record.index)
        self._indices.give_back(record.index)  # the name goes on to be known until the index is used again

    def rule(self, set_id: int, number: int) -> RuleReference | None:
        """What a rule's number in a violation stands for."""
        return self._sets.rule(set_id, number)

    def container_at(self, index: int) -> Container | None:
        """The container at an index of the maps."""
        bound = self._by_index.get(index)
        return bound.record.container if bound else None

    def mount_prefix(self, index: int, device: int) -> bytes | None:
        """Where the container at an index mounts the root of a file system."""
        bound = self._by_index.get(index)
        return bound.record.prefixes.get(device) if bound else None

    def containers(self) -> tuple[Container, ...]:
        """Every container under a set."""
        return tuple(bound.record.container for bound in self._bound.values())

    def _prepare(
        self, container: Container, image: SetImage, view: RootView, signature: str, bound: _Bound | None
    ) -> _Bound:
        """Everything but the switch. On an error nothing is left behind."""
        index = bound.record.index if bound else self._indices.take()
        try:
            stored = self._sets.use(image)
        except BaseException:
            if bound is None:
                self._indices.give_back(index)
            raise
        record = ContainerRecord(
            index=index,
            container=replace(container, labels=dict(container.labels)),
            epoch=self._instance.next_epoch(),
            set_digest=stored.digest,
            signature=signature,
            anchors=(),
            prefixes=view.prefixes,
            mount_namespace=mount_namespace(container.pid or 1),
        )
        made = _Bound(record, stored, bool(image.flags & abi.SET_HAS_NETWORK))
        if image.flags & abi.SET_HAS_PATHS:
            made.record = replace(record, anchors=self._write_anchors(record.epoch, image, stored, view))
        return made

    def _write_anchors(self, epoch: int, image: SetImage, stored: StoredSet, view: RootView) -> tuple[int, ...]:
        starts = dict(zip(view.groups(), image.automaton.starts, strict=True))
        numbers = []
        for anchor in view.anchors:
            state = starts.get(anchor.view.paths)
            if state is None:
                state = state_after(image.automaton, next(iter(anchor.view.paths)))
            number = self._anchor_number(anchor.fd)
            key = abi.AnchorKey(epoch=epoch, anchor=number)
            self._instance.maps["anchors"].put(pack(key), word(place_state(state, stored.placement)))
            numbers.append(number)
        return tuple(numbers)

    def _anchor_number(self, descriptor: int) -> int:
        key = struct.pack("<i", descriptor)
        raw = self._instance.maps["inodes"].get(key)
        memory = abi.InodeMemory.from_buffer_copy(raw) if raw else abi.InodeMemory()
        if memory.anchor == 0:
            number = self._instance.next_anchor()
            self._instance.maps["inodes"].put(key, pack(abi.InodeMemory(anchor=number)))
            return number
        return int(memory.anchor)

    def _switch(self, made: _Bound, old: _Bound | None) -> None:
        record = made.record
        self._records.write_set(made.stored)
        self._records.write_container(record)
        ruling = record.epoch << abi.RULING_EPOCH_SHIFT | made.stored.placement.set_id
        self._instance.maps["containers"].put(word(record.index), struct.pack("<Q", ruling))
        self._bound[record.container.cgroup_id] = self._by_index[record.index] = made
        if old is None:
            self._bindings.bind(record.container.cgroup, record.index)
        if made.has_network and not (old and old.has_network):
            self._attach_network(record)
        if old is not None:
            wait_for_programs()
            self._remove_anchors(old.record)
            self._release_set(old.stored)
        log.info("container_bound", container=record.container.name, epoch=record.epoch, rules=len(made.stored.rules))

    def _attach_network(self, record: ContainerRecord) -> None:
        descriptor = os.open(record.container.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._instance.attach_cgroup(descriptor, record.container.cgroup_id, record.index)
        finally:
            os.close(descriptor)

    def _remove_anchors(self, record: ContainerRecord) -> None:
        for number in record.anchors:
            self._instance.maps["anchors"].remove(pack(abi.AnchorKey(epoch=record.epoch, anchor=number)))

    def _remove_counters(self, index: int) -> None:
        counters = self._instance.maps["counters"]
        for key in list(counters):
            if abi.CounterKey.from_buffer_copy(key).container == index:
                counters.remove(key)

    def _release_set(self, stored: StoredSet) -> None:
        self._sets.release(stored)
        if stored.users == 0:
            self._records.remove_set(stored.placement.set_id)

    def _is_in_force(self, record: ContainerRecord, stored: StoredSet) -> bool:
        ruling = record.epoch << abi.RULING_EPOCH_SHIFT | stored.placement.set_id
        return self._instance.maps["containers"].get(word(record.index)) == struct.pack("<Q", ruling)

    def _adopt_container(self, record: ContainerRecord, stored: StoredSet) -> None:
        stored.users += 1
        self._indices.hold(record.index)
        entry = self._instance.maps["sets"].get(word(stored.placement.set_id))
        flags = abi.PolicySet.from_buffer_copy(entry).flags if entry else 0
        bound = _Bound(record, stored, bool(flags & abi.SET_HAS_NETWORK))
        self._bound[record.container.cgroup_id] = self._by_index[record.index] = bound
        log.info("container_adopted", container=record.container.name, epoch=record.epoch)


def _signature(image: SetImage, view: RootView) -> str:
    """Equal where neither the set nor what the container sees has changed."""
    digest = hashlib.sha256(image.digest.encode())
    for anchor in sorted(view.anchors, key=lambda each: (each.view.device, each.view.root)):
        digest.update(repr((anchor.view.device, anchor.view.root, sorted(anchor.view.paths))).encode())
    return digest.hexdigest()
