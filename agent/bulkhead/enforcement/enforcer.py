"""Puts containers under policy sets: the one place where a ruling is written.

For one container: what it sees and its rules as they hold there (`looks`), lowered (`policy`), placed (`sets`), states
from which walks start (anchors), cgroups bound, packet programs attached, and last one word in the map `containers`, by
which the new set takes effect. Whatever fails before is undone; killed in between, `adopt` clears up.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bulkhead import abi
from bulkhead.enforcement.anchor_numbers import AnchorNumbers
from bulkhead.enforcement.bindings import Bindings
from bulkhead.enforcement.building import Build, build_at_once
from bulkhead.enforcement.departures import Departures
from bulkhead.enforcement.drift import Expected, repair
from bulkhead.enforcement.hard_links import HardLinks, find_hard_links
from bulkhead.enforcement.layers import Layers, require_known
from bulkhead.enforcement.link_table import LinkTable, groups_with
from bulkhead.enforcement.looks import Looks
from bulkhead.enforcement.node_mounts import UNKNOWN, NodeMounts, spoken_of
from bulkhead.enforcement.placement import place_state
from bulkhead.enforcement.records import ContainerRecord, Records
from bulkhead.enforcement.roots import RootView, mount_namespace
from bulkhead.enforcement.sets import Sets, StoredSet, wait_for_programs
from bulkhead.enforcement.sightings import Paths, Sightings, groups, signed, unite
from bulkhead.errors import Damaged, NotEnforceable
from bulkhead.kernel.instance import Instance
from bulkhead.kernel.maps import pack, word
from bulkhead.log import get_log
from bulkhead.node.container import Container
from bulkhead.node.mounts import Origin
from bulkhead.policy.automaton.walk import state_after
from bulkhead.policy.built_in import BUILT_IN
from bulkhead.policy.image import SetImage
from bulkhead.policy.lower import digest_of
from bulkhead.policy.merge import merge
from bulkhead.policy.rules import PolicyRules, RuleReference

log = get_log()


@dataclass
class _Bound:
    """A container under a set."""

    record: ContainerRecord
    stored: StoredSet
    has_network: bool
    node_mounts: int = UNKNOWN  # those of the node (`NodeMounts.version`) that were looked at


@dataclass(frozen=True)
class _Wanted:
    """What a container should be under, and what it has seen; `paths` are those of `seen`.

    `signature` is that of `ContainerRecord`, `groups` are the start groups that the image was made with.
    """

    container: Container
    image: SetImage
    seen: Sightings
    paths: Paths
    links: HardLinks
    groups: tuple[frozenset[bytes], ...]
    prefixes: dict[int, bytes]
    signature: str
    gates: tuple[int, ...]


class Enforcer:
    """Everything that is enforced on this node, by cgroup id."""

    def __init__(self, instance: Instance, records: Records, build: Build = build_at_once) -> None:
        self._instance = instance
        self._records = records
        self._build = build
        self._sets = Sets(instance.maps)
        self._indices = Departures(instance.maps)
        self._layers = Layers(instance.maps["layers"])
        self._bindings = Bindings(instance.maps["bindings"], instance.bundle.parameters)
        self._node_mounts = NodeMounts()
        self._looks = Looks()
        self._links = LinkTable(instance.maps["links"])
        self._numbers = AnchorNumbers(instance)
        self._bound: dict[int, _Bound] = {}
        self._by_index: dict[int, _Bound] = {}

    def adopt(self) -> tuple[Container, ...]:
        """Take over what an earlier process enforced; returns its containers. Clears the records of other maps.

        What is in force is what the kernel's ruling says, not the record: an agent may have died between the two.
        Raises `Damaged` where records are missing: their numbers would be given out again while programs use them.
        """
        if not self._instance.maps_kept:
            self._records.clear()
            return ()
        recorded = {record.index: record for record in self._records.containers()}
        if unknown := self._in_force() - recorded.keys():
            raise Damaged(
                f"{len(unknown)} containers are under policies of which no record is left in {self._records}; they go "
                f"on being enforced. To begin anew, remove the pins (docs/operations.md): {self._instance.pins}"
            )
        stored = {each.placement.set_id: each for each in self._records.sets()}
        for each in stored.values():
            self._sets.adopt(each)
        for record in recorded.values():
            epoch, set_id = self._ruling(record.index)
            if set_id in stored:
                self._adopt_container(self._as_in_force(record, epoch, stored[set_id]), stored[set_id])
            else:
                self._withdraw(record)
        self._indices.adopt({bound.record.index for bound in self._bound.values()})
        self._discard_strays(stored.values())
        return tuple(bound.record.container for bound in self._bound.values())

    def enforce(self, container: Container, policies: Iterable[PolicyRules], *, wait: bool = False) -> bool:
        """Put a container under these policies; whether anything changed. `wait` for a set that has to be built.

        Raises `DoesNotFit`, `NotEnforceable`, `StillBuilding`: what was enforced on the container stays so.
        """
        bound, node_mounts = self._bound.get(container.cgroup_id), self._mounts_of_node(container)
        with self._looks.at(container, policies) as (view, localised), contextlib.ExitStack() as undo:
            policy_set = merge(localised)
            seen = self._seen(view, policy_set.rules, container, bound)
            paths = seen.paths()
            signature = signed(digest_of(policy_set, groups(paths)), paths)
            if bound and bound.record.signature == signature:
                self._note_names(bound, container)
                bound.node_mounts = node_mounts
                return False
            links = find_hard_links(view.root, view.table, policy_set.rules.paths)
            together = groups_with(paths, links.names)
            image = self._build(policy_set, together, wait)
            gates = tuple(map(self._numbers.number_of, view.gates))
            if image.flags & (abi.SET_HAS_PROVENANCE | abi.SET_HAS_SUBJECTS):
                require_known(view)
            wanted = _Wanted(container, image, seen, paths, links, together, view.prefixes, signature, gates)
            made = self._prepare(wanted, bound, undo)
            self._cover(made, bound, undo)
            if not (container.of_node or (bound and bound.record.container.pid)):  # the first look counts
                self._layers.write(made.record.index, view)
            ruling = struct.pack("<Q", _ruling_word(made.record.epoch, made.stored))
            self._instance.maps["containers"].put(word(made.record.index), ruling)
            undo.pop_all()
        made.node_mounts = node_mounts
        self._bound[container.cgroup_id] = self._by_index[made.record.index] = made
        log.info("container_bound", container=container.name, epoch=made.record.epoch, rules=len(made.stored.rules))
        if bound:
            wait_for_programs()
            self._remove_anchors(bound.record)
            self._release_set(bound.stored)
        return True

    def is_stale(self, container: Container) -> bool:
        """Whether the container has got another mount namespace since it was bound, or the node other mounts."""
        bound = self._bound.get(container.cgroup_id)
        if bound and container.of_node:
            return bound.node_mounts != self._mounts_of_node(container)
        return bound is None or bound.record.mount_namespace != mount_namespace(container.pid or 1)

    def release(self, cgroup_id: int) -> bool:
        """Take a container out from under its set; whether that was done.

        Not where its cgroup is gone but processes that departed from it live on: they stay under its set.
        """
        bound = self._bound.get(cgroup_id)
        if bound is None:
            return True
        if not bound.record.container.cgroup.is_dir() and self._indices.departed(bound.record.index):
            return False
        del self._bound[cgroup_id]
        self._withdraw(bound.record)
        self._release_set(bound.stored)
        self._indices.give_back(bound.record.index)  # the name goes on to be known until the index is used again
        return True

    def rule(self, set_id: int, number: int) -> RuleReference | None:
        """What a rule's number in a violation stands for."""
        return BUILT_IN.get(number) or self._sets.rule(set_id, number)

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

    def spare(self, cgroups: Iterable[Path]) -> None:
        """These are no cgroups of the node's own processes, though they were made below some."""
        of_node = [index for index, bound in self._by_index.items() if bound.record.container.of_node]
        for path in cgroups if of_node else ():
            self._bindings.spare(path, of_node)

    def repair(self) -> Counter[str]:
        """Write again what the maps should hold of containers and do not; how many entries, by map."""
        expected = [
            Expected(
                bound.record.container,
                bound.record.index,
                _ruling_word(bound.record.epoch, bound.stored),
                bound.has_network,
            )
            for bound in self._bound.values()
        ]
        return repair(self._instance.maps, self._bindings, expected)

    def _note_names(self, bound: _Bound, container: Container) -> None:
        """The set is right; labels, or the process that stands for the container, may be new."""
        named = replace(container, labels=dict(container.labels))
        record = replace(bound.record, container=named, mount_namespace=mount_namespace(container.pid or 1))
        if container.alone != bound.record.container.alone:
            self._bindings.bind(container, record.index)
        if record != bound.record:
            self._records.write_container(record)
            bound.record = record

    def _prepare(self, wanted: _Wanted, bound: _Bound | None, undo: contextlib.ExitStack) -> _Bound:
        """The set and the anchors, which nothing points to yet."""
        container, image = wanted.container, wanted.image
        if bound:
            index = bound.record.index
        else:
            index = self._indices.take(container.home)
            undo.callback(self._indices.give_back, index)
        stored = self._sets.use(image)
        undo.callback(self._release_set, stored)
        record = ContainerRecord(
            index=index,
            container=replace(container, labels=dict(container.labels)),
            epoch=self._instance.next_epoch(),
            set_digest=stored.digest,
            signature=wanted.signature,
            seen=wanted.seen,
            prefixes=wanted.prefixes,
            mount_namespace=mount_namespace(container.pid or 1),
            gates=wanted.gates,
        )
        if image.flags & (abi.SET_HAS_PATHS | abi.SET_HAS_SUBJECTS):
            undo.callback(self._remove_anchors, record)
            self._write_anchors(record.epoch, wanted, stored)
        return _Bound(record, stored, bool(image.flags & abi.SET_HAS_NETWORK))

    def _write_anchors(self, epoch: int, wanted: _Wanted, stored: StoredSet) -> None:
        states = _states(wanted, stored)
        for number, paths in wanted.paths.items():
            key = abi.AnchorKey(epoch=epoch, anchor=number)
            self._instance.maps["anchors"].put(pack(key), word(states[paths]))
        for number in wanted.gates:
            key = abi.AnchorKey(epoch=epoch, anchor=number)
            self._instance.maps["anchors"].put(pack(key), word(abi.STATE_SINK | abi.OUTCOME_SILENT))
        self._links.write(epoch, wanted.links.names, states)
        if not wanted.links.complete:
            log.warning("links_not_all_found", container=wanted.container.name, found=len(wanted.links.names))

    def _mounts_of_node(self, container: Container) -> int:
        return self._node_mounts.version() if container.of_node else UNKNOWN

    def _seen(self, view: RootView, rules: PolicyRules, container: Container, bound: _Bound | None) -> Sightings:
        """What a container was ever seen to have mounted; a node's mounts are believed, and forgotten when they go."""
        if container.of_node:
            return self._number(spoken_of(view, rules))
        return unite(bound.record.seen, self._number(view, bound)) if bound else self._number(view)

    def _number(self, view: RootView, bound: _Bound | None = None) -> Sightings:
        """What a look shows; an inode that is seen for the first time gets its number.

        An overlay that a container mounts while it is bound is not announced where its layers cannot be told from it:
        it could show a covered directory under another path. Unannounced, it is judged strictly.
        """
        told = bound is None or self._instance.bundle.parameters.layers_have_paths
        known = {(place.device, place.root) for place in bound.record.seen.places} if bound else set()
        strange = set() if told else view.overlays() - known
        origins: dict[int, frozenset[Origin]] = {}
        for anchor in view.anchors:
            if (anchor.view.device, anchor.view.root) in strange:
                continue
            number = self._numbers.number_of(anchor.fd, anchor.view.device)
            origins[number] = origins.get(number, frozenset()) | {(anchor.view.device, anchor.view.root)}
        places = (place for place in view.places if (place.device, place.root) not in strange)
        return Sightings(frozenset(places), origins)

    def _cover(self, made: _Bound, old: _Bound | None, undo: contextlib.ExitStack) -> None:
        """Bind the cgroups and attach the packet programs, so that the ruling holds for all when it is written."""
        record = made.record
        undo.callback(self._records.write_container, old.record) if old else undo.callback(self._withdraw, record)
        self._records.write_set(made.stored)
        self._records.write_container(record)
        if old is None or old.record.container.alone != record.container.alone:
            self._bindings.bind(record.container, record.index)
        if made.has_network and not (old and old.has_network):
            self._attach_network(record)

    def _withdraw(self, record: ContainerRecord) -> None:
        """Take away everything that the maps hold for a container, but for its set."""
        self._instance.maps["containers"].put(word(record.index), struct.pack("<Q", 0))
        with contextlib.suppress(NotEnforceable):  # the cgroup went meanwhile, and the binding with it
            self._bindings.unbind(record.container, record.index)
        self._instance.detach_cgroup(record.container.cgroup_id)
        wait_for_programs()
        self._remove_anchors(record)
        self._layers.remove(record.index)
        self._remove_counters(record.index)
        self._records.remove_container(record.index)

    def _attach_network(self, record: ContainerRecord) -> None:
        cgroup = record.container.cgroup
        try:
            descriptor = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise NotEnforceable(f"cgroup {cgroup}: {error.strerror}; what was enforced goes on") from error
        try:
            self._instance.attach_cgroup(descriptor, record.container.cgroup_id, record.index)
        finally:
            os.close(descriptor)

    def _remove_anchors(self, record: ContainerRecord) -> None:
        for number in (*record.seen.origins, *record.gates):
            self._instance.maps["anchors"].remove(pack(abi.AnchorKey(epoch=record.epoch, anchor=number)))
        self._links.remove(record.epoch)

    def _remove_counters(self, index: int) -> None:
        counters = self._instance.maps["counters"]
        for key in list(counters):
            if abi.CounterKey.from_buffer_copy(key).container == index:
                counters.remove(key)

    def _release_set(self, stored: StoredSet) -> None:
        self._sets.release(stored)
        if stored.users == 0:
            self._records.remove_set(stored.placement.set_id)

    def _in_force(self) -> set[int]:
        """The indices of containers that the kernel judges."""
        rulings = self._instance.maps["containers"].items()
        return {int.from_bytes(index, "little") for index, ruling in rulings if any(ruling)}

    def _ruling(self, index: int) -> tuple[int, int]:
        """Epoch and set by which the kernel judges a container; set 0 where it does not."""
        raw = self._instance.maps["containers"].get(word(index))
        ruling = struct.unpack("<Q", raw)[0] if raw else 0
        return ruling >> abi.RULING_EPOCH_SHIFT, ruling & (1 << abi.RULING_EPOCH_SHIFT) - 1

    def _as_in_force(self, record: ContainerRecord, epoch: int, stored: StoredSet) -> ContainerRecord:
        """The record; where it is of a set that never took effect, made to match and due to be replaced."""
        if (record.epoch, record.set_digest) == (epoch, stored.digest):
            return record
        return replace(record, epoch=epoch, set_digest=stored.digest, signature="")

    def _discard_strays(self, recorded: Iterable[StoredSet]) -> None:
        """Remove what an agent that was killed had begun to write, or to remove: numbers are given out again."""
        self._sets.discard_unused()
        used = [stored for stored in recorded if stored.users]
        for stored in recorded:
            if not stored.users:
                self._records.remove_set(stored.placement.set_id)
        self._layers.keep_only(self._by_index)
        epochs = {bound.record.epoch for bound in self._bound.values()}
        self._instance.maps["prefixes"].keep_only({key for stored in used for key in stored.prefix_keys})
        self._instance.maps["ports"].keep_only({key for stored in used for key in stored.port_keys})
        anchors = self._instance.maps["anchors"]
        anchors.keep_only({key for key in anchors if abi.AnchorKey.from_buffer_copy(key).epoch in epochs})
        self._links.keep_only(epochs)

    def _adopt_container(self, record: ContainerRecord, stored: StoredSet) -> None:
        stored.users += 1
        self._indices.hold(record.index)
        entry = self._instance.maps["sets"].get(word(stored.placement.set_id))
        flags = abi.PolicySet.from_buffer_copy(entry).flags if entry else 0
        bound = _Bound(record, stored, bool(flags & abi.SET_HAS_NETWORK))
        self._bound[record.container.cgroup_id] = self._by_index[record.index] = bound
        log.info("container_adopted", container=record.container.name, epoch=record.epoch)


def _ruling_word(epoch: int, stored: StoredSet) -> int:
    return epoch << abi.RULING_EPOCH_SHIFT | stored.placement.set_id


def _states(wanted: _Wanted, stored: StoredSet) -> dict[frozenset[bytes], int]:
    """The state, placed, after each set of paths from which a walk may begin."""
    automaton = wanted.image.automaton
    found = dict(zip(wanted.groups, automaton.starts, strict=True))
    for paths in {*wanted.paths.values(), *wanted.links.names.values()} - found.keys():
        (path,) = paths
        found[paths] = state_after(automaton, path)
    return {paths: place_state(state, stored.placement) for paths, state in found.items()}
