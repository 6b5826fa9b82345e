"""What is in the maps and why, on disk: so that a restarted agent knows the sets and containers it finds there.

The maps hold numbers; which rule, which container, which room they stand for is written here before a ruling points at
it. Records are only believed for maps that were kept: with fresh maps they are thrown away. JSON, one file an object,
replaced whole. Next step: `enforcement.enforcer` adopts them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkhead.enforcement.placement import Placement
from bulkhead.enforcement.sets import StoredSet
from bulkhead.enforcement.sightings import Sightings
from bulkhead.errors import Damaged
from bulkhead.files import write_whole
from bulkhead.node.container import Container
from bulkhead.node.mounts import Place
from bulkhead.policy.rules import RuleReference


@dataclass(frozen=True)
class ContainerRecord:
    """A bound container: its index in the maps, its ruling, and what it was made of.

    `signature` is equal for equal sets and paths; `seen` has the numbers of its mount roots, `gates` those of pipes
    that its first process waited at (`node.gates`).
    """

    index: int
    container: Container
    epoch: int
    set_digest: str
    signature: str
    seen: Sightings
    prefixes: dict[int, bytes]
    mount_namespace: str
    gates: tuple[int, ...] = ()


class Records:
    """Records under `directory`, or in no place at all where it is None (`bulkhead run` leaves nothing behind)."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def __str__(self) -> str:
        return str(self._directory)

    def write_set(self, stored: StoredSet) -> None:
        """Record a set."""
        document = {
            "digest": stored.digest,
            "placement": vars(stored.placement),
            "rules": [vars(rule) for rule in stored.rules],
            "prefix_keys": [key.hex() for key in stored.prefix_keys],
            "port_keys": [key.hex() for key in stored.port_keys],
        }
        self._write("sets", stored.placement.set_id, document)

    def write_container(self, record: ContainerRecord) -> None:
        """Record a container, replacing what was recorded under its index."""
        document = {
            **vars(record),
            "container": {**vars(record.container), "cgroup": str(record.container.cgroup)},
            "seen": _sightings_document(record.seen),
            "prefixes": {str(device): prefix.hex() for device, prefix in record.prefixes.items()},
        }
        self._write("containers", record.index, document)

    def remove_set(self, set_id: int) -> None:
        """Forget a set."""
        self._remove("sets", set_id)

    def remove_container(self, index: int) -> None:
        """Forget a container."""
        self._remove("containers", index)

    def clear(self) -> None:
        """Forget everything: the maps are new."""
        for kind in ("sets", "containers"):
            for path in self._files(kind):
                path.unlink()

    def sets(self) -> Iterator[StoredSet]:
        """Every set on record. `Damaged` where a record is not one."""
        for path in self._files("sets"):
            document = _read(path)
            yield StoredSet(
                document["digest"],
                Placement(**document["placement"]),
                tuple(RuleReference(**{**rule, "tags": tuple(rule["tags"])}) for rule in document["rules"]),
                tuple(bytes.fromhex(key) for key in document["prefix_keys"]),
                tuple(bytes.fromhex(key) for key in document["port_keys"]),
            )

    def containers(self) -> Iterator[ContainerRecord]:
        """Every container on record."""
        for path in self._files("containers"):
            document = _read(path)
            document["container"] = Container(
                **{**document["container"], "cgroup": Path(document["container"]["cgroup"])}
            )
            document["prefixes"] = {int(key): bytes.fromhex(value) for key, value in document["prefixes"].items()}
            document["seen"] = _sightings(document["seen"])
            document["gates"] = tuple(document.get("gates", ()))
            yield ContainerRecord(**document)

    def _files(self, kind: str) -> list[Path]:
        return sorted((self._directory / kind).glob("*.json")) if self._directory else []

    def _write(self, kind: str, number: int, document: dict[str, Any]) -> None:
        if self._directory is None:
            return
        path = self._directory / kind / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(document).encode())

    def _remove(self, kind: str, number: int) -> None:
        if self._directory:
            (self._directory / kind / f"{number}.json").unlink(missing_ok=True)


def _sightings_document(seen: Sightings) -> dict[str, Any]:
    return {
        "places": [[*each.device, each.root.hex(), each.mount_point.hex()] for each in sorted(seen.places)],
        "origins": {
            str(number): [[*device, root.hex()] for device, root in sorted(origins)]
            for number, origins in seen.origins.items()
        },
    }


def _sightings(document: dict[str, Any]) -> Sightings:
    return Sightings(
        frozenset(
            Place((major, minor), bytes.fromhex(root), bytes.fromhex(point))
            for major, minor, root, point in document["places"]
        ),
        {
            int(number): frozenset(((major, minor), bytes.fromhex(root)) for major, minor, root in origins)
            for number, origins in document["origins"].items()
        },
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Damaged(f"{path}: not a record of ours: {error}; what the maps hold goes on being enforced") from error
    if not isinstance(document, dict):
        raise Damaged(f"{path}: not a record of ours; what the maps hold goes on being enforced")
    return document
