"""One set of loaded programs with their maps: made, or taken over from pins, or replaced without a gap.

With `pins` (a folder on bpffs) everything outlives this process: maps/NAME, links/NAME for hooks of the whole kernel,
cgroups/ID-NAME for a container's cgroup. Whoever starts next finds the same programs and adopts them; where the
programs differ but the maps do not, new ones take the old ones' place. The kernel cannot update an LSM link, so there
the new program is attached before the old one's link goes: for a moment both decide (docs/adr/0004). A cgroup link is
updated in place. Next step: `bulkhead.enforcement` fills the maps.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bulkhead import abi
from bulkhead.errors import NotEnforceable, ProgramRefused
from bulkhead.kernel import libbpf
from bulkhead.kernel.btf import function_types
from bulkhead.kernel.bundle import Bundle
from bulkhead.kernel.guard import Guard
from bulkhead.kernel.linker import INSTRUCTION, LinkedProgram
from bulkhead.kernel.maps import Maps, create_maps, open_map, open_maps, pack, word
from bulkhead.kernel.plan import FUNCTIONS, PROGRAMS, Kind, Linkage, Program

_FUNCTION_KIND, _TYPEDEF_KIND = 12, 8  # BTF_KIND_*
_LINK_CGROUP, _LINK_CGROUP_OFFSET = struct.Struct("<Q"), 16  # cgroup_id of struct bpf_link_info, 0 when detached
_TRUSTED = {function.name for function in FUNCTIONS if function.linkage is Linkage.TRUSTED}


@dataclass
class Instance:
    """Loaded programs and their maps.

    `programs` are descriptors by name, `links` those of kernel-wide programs. `adopted` says that nothing was loaded,
    `maps_kept` that the maps hold what an earlier process put there.
    """

    maps: Maps
    bundle: Bundle
    pins: Path | None
    adopted: bool
    maps_kept: bool
    programs: dict[str, int]
    links: dict[str, int] = field(default_factory=dict)
    cgroup_links: dict[tuple[int, str], int] = field(default_factory=dict)

    def attach_cgroup(self, cgroup: int, cgroup_id: int, container: int) -> None:
        """Attach the packet and connect programs to an open cgroup directory, for `container` (index).

        Until the container index is written, the programs let everything pass; a cgroup that is attached already only
        gets the index.
        """
        for program in _cgroup_programs():
            key = (cgroup_id, program.name)
            if key in self.cgroup_links or self._adopt_cgroup_link(key):
                continue
            link = libbpf.attach_to_cgroup(program.name, self.programs[program.name], cgroup, program.kind.attach_type)
            self.cgroup_links[key] = link
            Guard(self.maps).add_link(link)
            if self.pins:
                libbpf.pin(link, str(_cgroup_pin(self.pins, key)))
        state = abi.NetworkState(container=container)
        self.maps["network"].put(struct.pack("<Q", cgroup_id), pack(state))

    def detach_cgroup(self, cgroup_id: int) -> None:
        """Undo `attach_cgroup`; also fine where the cgroup is gone."""
        for program in _cgroup_programs():
            key = (cgroup_id, program.name)
            link = self.cgroup_links.pop(key, None)
            if link is not None:
                Guard(self.maps).remove_link(link)
                os.close(link)
            if self.pins:
                _cgroup_pin(self.pins, key).unlink(missing_ok=True)

    def guard(self) -> None:
        """Have containers under a policy refused to touch this process and what it has loaded."""
        links = [*self.links.values(), *self.cgroup_links.values()]
        guard = Guard(self.maps)
        guard.begin(self.programs.values(), links, self.pins)
        if not self.adopted:  # else there are links that have not been opened yet
            guard.forget_all_but(self.programs.values(), links)

    def next_epoch(self) -> int:
        """A number that no inode remembers anything under. Kept in the kernel, so that it outlives this process."""
        with self._changing_description() as described:
            described.next_epoch += 1
        return int(described.next_epoch)

    def next_anchor(self) -> int:
        """A number for an inode, never given twice."""
        with self._changing_description() as described:
            described.next_anchor += 1
        return int(described.next_anchor)

    def describe(self) -> None:
        """Write down which programs these are, for whoever comes next."""
        with self._changing_description() as described:
            described.abi_version = abi.ABI_VERSION
            described.bundle[:] = list(self.bundle.digest)

    @contextlib.contextmanager
    def _changing_description(self) -> Iterator[abi.Instance]:
        described = _description(self.maps)
        yield described
        self.maps["instances"].put(word(0), pack(described))

    def statistics(self) -> dict[str, int]:
        """The kernel's own counters of errors and limits, by lower-case name."""
        raw = self.maps["statistics"].get(word(0))
        assert raw is not None
        values = abi.Statistics.from_buffer_copy(raw).values
        return {each.name.lower(): int(values[each]) for each in abi.Statistic}

    def close(self) -> None:
        """Close descriptors: what is pinned goes on, what is not is gone."""
        for descriptor in [*self.cgroup_links.values(), *self.links.values(), *self.programs.values()]:
            os.close(descriptor)
        self.cgroup_links.clear()
        self.links.clear()
        self.programs.clear()
        self.maps.close()

    def _adopt_cgroup_link(self, key: tuple[int, str]) -> bool:
        if not self.pins or not _cgroup_pin(self.pins, key).exists():
            return False
        link = libbpf.open_pinned(str(_cgroup_pin(self.pins, key)))
        if not self.adopted:
            libbpf.replace_program(key[1], link, self.programs[key[1]])
        self.cgroup_links[key] = link
        Guard(self.maps).add_link(link)
        return True


def load_instance(bundle: Bundle, pins: Path | None = None) -> Instance:
    """Adopt what is pinned, or load the bundle and attach it to the kernel, taking the place of older programs.

    Either everything is loaded or nothing: on an error what was there before goes on enforcing. Raises
    `ProgramRefused`, `KernelUnable`.
    """
    if pins is None:
        return _load(bundle, create_maps(bundle.parameters), None, maps_kept=False)
    for name in ("maps", "links", "programs", "cgroups"):
        (pins / name).mkdir(parents=True, exist_ok=True)
    if not (pins / "maps/instances").exists():
        _remove_leftovers(pins)
        maps = create_maps(bundle.parameters)
        instance = _load(bundle, maps, pins, maps_kept=False)
        maps.pin(pins / "maps")  # last: its presence says that all is there
        return instance
    _require_same_boundary(bundle, pins)
    maps = open_maps(bundle.parameters, pins / "maps")
    present = _description(maps)
    if bytes(present.bundle) == bundle.digest and _all_pinned(bundle, pins):
        return _adopt(bundle, maps, pins)
    return _load(bundle, maps, pins, maps_kept=True)


def _require_same_boundary(bundle: Bundle, pins: Path) -> None:
    """Asked before other maps are opened: another version may have others."""
    (definition,) = (each for each in abi.MAPS if each.name == "instances")
    instances = open_map(bundle.parameters, pins / "maps", definition)
    try:
        present = _description(Maps({instances.name: instances})).abi_version
    finally:
        os.close(instances.descriptor)
    if present != abi.ABI_VERSION:
        raise NotEnforceable(
            f"{pins}: pinned maps are of boundary version {present}, this is {abi.ABI_VERSION}: "
            "remove them as docs/operations.md says; they go on enforcing until then"
        )


def _description(maps: Maps) -> abi.Instance:
    raw = maps["instances"].get(word(0))
    assert raw is not None  # an array always has its entries
    return abi.Instance.from_buffer_copy(raw)


def remove_instance(pins: Path) -> None:
    """Remove everything that is pinned: nothing is enforced any more."""
    _remove_leftovers(pins)
    for directory in (pins / "maps", pins / "links", pins / "programs", pins / "cgroups", pins):
        with contextlib.suppress(FileNotFoundError):
            directory.rmdir()


def _remove_leftovers(pins: Path) -> None:
    for name in ("links", "cgroups", "programs", "maps"):
        for pinned in (pins / name).glob("*"):
            pinned.unlink()


def _adopt(bundle: Bundle, maps: Maps, pins: Path) -> Instance:
    programs = {program.name: libbpf.open_pinned(str(pins / "programs" / program.name)) for program in bundle.plan}
    links = {
        program.name: libbpf.open_pinned(str(pins / "links" / program.name)) for program in _kernel_programs(bundle)
    }
    instance = Instance(maps, bundle, pins, adopted=True, maps_kept=True, programs=programs, links=links)
    instance.guard()
    return instance


def _all_pinned(bundle: Bundle, pins: Path) -> bool:
    programs = all((pins / "programs" / program.name).exists() for program in bundle.plan)
    return programs and all((pins / "links" / program.name).exists() for program in _kernel_programs(bundle))


def _load(bundle: Bundle, maps: Maps, pins: Path | None, *, maps_kept: bool) -> Instance:
    instance = Instance(maps, bundle, pins, adopted=False, maps_kept=maps_kept, programs={})
    with contextlib.ExitStack() as undo:
        undo.callback(instance.close)
        instance.programs = _load_programs(bundle, maps)
        for program in _kernel_programs(bundle):
            instance.links[program.name] = libbpf.attach_to_kernel(program.name, instance.programs[program.name])
        undo.pop_all()
    if pins:
        _pin_in_place(pins, "links", instance.links)
        _pin_in_place(pins, "programs", instance.programs)
        _update_cgroup_links(instance, pins)
    instance.describe()
    instance.guard()
    return instance


def _pin_in_place(pins: Path, kind: str, descriptors: dict[str, int]) -> None:
    """Pin under the final names, each replacing what was there in one step: the old object goes when its pin does."""
    for name, descriptor in descriptors.items():
        partial = pins / kind / f"{name}-next"
        partial.unlink(missing_ok=True)
        libbpf.pin(descriptor, str(partial))
        partial.replace(pins / kind / name)


def _update_cgroup_links(instance: Instance, pins: Path) -> None:
    for pinned in sorted((pins / "cgroups").glob("*")):
        cgroup_id, name = pinned.name.split("-", 1)
        link = libbpf.open_pinned(str(pinned))
        if not _LINK_CGROUP.unpack_from(libbpf.object_info(link), _LINK_CGROUP_OFFSET)[0]:  # the cgroup is gone
            os.close(link)
            pinned.unlink()
            continue
        libbpf.replace_program(name, link, instance.programs[name])
        instance.cgroup_links[int(cgroup_id), name] = link


def _load_programs(bundle: Bundle, maps: Maps) -> dict[str, int]:
    """All programs; the verifier takes its time, and takes it for several at once."""
    by_name = {linked.name: linked for linked in bundle.programs}
    pending = {program.name: program for program in bundle.plan}
    with_trusted = (name for name in pending if any(part in _TRUSTED for _, part in by_name[name].functions))
    first = next(with_trusted, next(iter(pending)))
    descriptor, forms = _load_in_one_form(pending.pop(first), by_name[first], maps, (True, False))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        loading = {
            name: pool.submit(_load_in_one_form, program, by_name[name], maps, forms)
            for name, program in pending.items()
        }
    failures = [failure for task in loading.values() if (failure := task.exception())]
    loaded = {first: descriptor} | {name: task.result()[0] for name, task in loading.items() if not task.exception()}
    if failures:
        for each in loaded.values():
            os.close(each)
        raise failures[0]
    return loaded


def _load_in_one_form(
    program: Program, linked: LinkedProgram, maps: Maps, forms: tuple[bool, ...]
) -> tuple[int, tuple[bool, ...]]:
    """Load with trusted functions global or static (see plan.Linkage), the first of `forms` that the kernel takes.

    Returns what forms to try with the next program, too.
    """
    if len(forms) == 1 or not any(part in _TRUSTED for _, part in linked.functions):
        return _load_program(program, linked, maps, forms[0]), forms
    try:
        return _load_program(program, linked, maps, forms[0]), forms
    except ProgramRefused:
        return _load_program(program, linked, maps, forms[1]), forms[1:]


def _load_program(program: Program, linked: LinkedProgram, maps: Maps, trusted_global: bool) -> int:
    blob, ids = function_types(tuple(name for _, name in linked.functions), trusted_global)
    functions = b"".join(struct.pack("<II", start, ids[name]) for start, name in linked.functions)
    btf = libbpf.load_btf(blob)
    types = (program.kind.program_type, program.kind.attach_type, _hook(program))
    try:
        return libbpf.load_program(program.name, _with_maps(linked, maps), types, (btf, functions))
    finally:
        os.close(btf)


def _with_maps(linked: LinkedProgram, maps: Maps) -> bytes:
    code = bytearray(linked.code)
    descriptors = maps.descriptors()
    for index, identifier in linked.maps:
        struct.pack_into("<i", code, index * INSTRUCTION.size + 4, descriptors[identifier])
    return bytes(code)


def _hook(program: Program) -> int:
    if program.kind.on_cgroup:
        return 0
    if program.kind is Kind.TRACEPOINT:
        return libbpf.kernel_type(f"btf_trace_{program.hook}", _TYPEDEF_KIND)
    return libbpf.kernel_type(program.target, _FUNCTION_KIND)


def _kernel_programs(bundle: Bundle) -> Iterator[Program]:
    return (program for program in bundle.plan if not program.kind.on_cgroup)


def _cgroup_programs() -> Iterator[Program]:
    return (program for program in PROGRAMS if program.kind.on_cgroup)


def _cgroup_pin(pins: Path, key: tuple[int, str]) -> Path:
    return pins / "cgroups" / f"{key[0]}-{key[1]}"
