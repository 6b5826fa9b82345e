"""Compiled programs on disk: everything that is loaded into one kernel, without clang or LLVM.

A bundle is keyed by what it was made of (the kernel's BTF, the probe sources, our code that links them), so a cache
never gives a stale one. Next step: `bulkhead.kernel.instance`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bulkhead import __version__
from bulkhead.abi import ABI_VERSION
from bulkhead.errors import Damaged
from bulkhead.files import write_whole
from bulkhead.kernel.linker import LinkedProgram
from bulkhead.kernel.plan import Parameters, Program, probes_directory, programs_for

_FORMAT = 1


@dataclass(frozen=True)
class Bundle:
    """Programs for one kernel. `key` is the hex digest of what they were made of."""

    key: str
    parameters: Parameters
    programs: tuple[LinkedProgram, ...]

    @property
    def digest(self) -> bytes:
        """32 bytes that identify the programs, as kept in the kernel's `instances` map."""
        return bytes.fromhex(self.key)

    @property
    def plan(self) -> tuple[Program, ...]:
        """The programs as planned: all but those that this kernel has no hook for."""
        there = {linked.name for linked in self.programs}
        return tuple(program for program in programs_for(self.parameters.bpf_lsm) if program.name in there)


def bundle_key(btf: Path, bpf_lsm: bool = True) -> str:
    """Hex SHA-256 of all that decides the programs' code."""
    digest = hashlib.sha256(f"{_FORMAT} {__version__} {ABI_VERSION} {bpf_lsm}\n".encode())
    digest.update(btf.read_bytes())
    directory = probes_directory()
    own = [
        Path(__file__).with_name(name)
        for name in ("plan.py", "linker.py", "headers.py", "kernel_btf.py", "compiler.py")
    ]
    for source in [*sorted(directory.rglob("*.[ch]")), *own]:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Write whole or not at all."""
    document = {
        "format": _FORMAT,
        "key": bundle.key,
        "parameters": asdict(bundle.parameters),
        "programs": [
            {
                "name": program.name,
                "code": base64.b64encode(program.code).decode(),
                "maps": program.maps,
                "functions": program.functions,
            }
            for program in bundle.programs
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(document).encode())


def read_bundle(path: Path) -> Bundle:
    """Read a bundle; `Damaged` where it is not one."""
    try:
        document = json.loads(path.read_text())
        if document["format"] != _FORMAT:
            raise Damaged(f"{path}: bundle format {document['format']}, this version reads {_FORMAT}")
        programs = tuple(
            LinkedProgram(
                entry["name"],
                base64.b64decode(entry["code"], validate=True),
                tuple((int(at), int(identifier)) for at, identifier in entry["maps"]),
                tuple((int(start), str(name)) for start, name in entry["functions"]),
            )
            for entry in document["programs"]
        )
        return Bundle(document["key"], Parameters(**document["parameters"]), programs)
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise Damaged(f"{path}: not a bundle of compiled programs: {error}; nothing was loaded") from error


def cached_bundle(key: str, cache: Path) -> Bundle | None:
    """The bundle of a key (`bundle_key`), where the cache has it and it is whole."""
    path = cached_path(key, cache)
    if not path.exists():
        return None
    try:
        bundle = read_bundle(path)
    except Damaged:
        return None  # made anew: a cache is never the only copy
    return bundle if bundle.key == key else None


def cached_path(key: str, cache: Path) -> Path:
    """Where a cache keeps the bundle of a key."""
    return cache / f"{key}.bundle"
