"""Headers for bcc: every field where the kernel's BTF says it is."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from bulkhead.errors import KernelUnable
from bulkhead.kernel import headers
from bulkhead.kernel.kernel_btf import KernelTypes

RUNNING = Path("/sys/kernel/btf/vmlinux")


class Blob:
    """BTF made by hand."""

    def __init__(self) -> None:
        self.types = b""
        self.strings = b"\0"

    def name(self, text: str) -> int:
        """The offset of a name."""
        at = len(self.strings)
        self.strings += text.encode() + b"\0"
        return at if text else 0

    def add(self, name: str, kind: int, count: int, size: int, rest: bytes = b"") -> None:
        """One type."""
        self.types += struct.pack("<III", self.name(name), kind << 24 | count, size) + rest

    def member(self, name: str, kind: int, offset: int) -> bytes:
        """One member, at a byte offset."""
        return struct.pack("<III", self.name(name), kind, offset * 8)

    def bytes(self) -> bytes:
        """The blob."""
        length, strings = len(self.types), len(self.strings)
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, length, length, strings) + self.types + self.strings


@pytest.fixture
def types() -> KernelTypes:
    """struct outer { char pad[5]; anonymous { int within @8 } @8; struct inner in @24; struct outer *next @40 }."""
    blob = Blob()
    blob.add("int", 1, 0, 4, struct.pack("<I", 1 << 24 | 32))  # 1
    blob.add("", 4, 1, 16, blob.member("within", 1, 8))  # 2
    blob.add("inner", 4, 2, 16, blob.member("a", 1, 0) + blob.member("b", 1, 12))  # 3
    blob.add("", 2, 0, 5)  # 4, a pointer to 5
    blob.add("outer", 4, 3, 48, blob.member("", 2, 8) + blob.member("in", 3, 24) + blob.member("next", 4, 40))  # 5
    blob.add("bpf_map_type", 6, 1, 4, struct.pack("<Ii", blob.name("BPF_MAP_TYPE_X"), 1))  # 6
    return KernelTypes(blob.bytes())


def test_fields_are_found_within_anonymous_structures(types: KernelTypes) -> None:
    """Offsets add up."""
    outer = types.structure("outer")
    found = types.find(outer, "within")
    assert found is not None
    assert found.offset == 16
    assert types.find(outer, "nowhere") is None


def test_enumerators_are_features(types: KernelTypes) -> None:
    """A map type that the kernel lists is one that it has."""
    assert types.has_enumerator("bpf_map_type", "BPF_MAP_TYPE_X")
    assert not types.has_enumerator("bpf_map_type", "BPF_MAP_TYPE_Y")


def test_the_compiler_has_no_say(types: KernelTypes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is declared is laid out, by a real compiler, exactly as the BTF says, and has the id that it has there."""
    monkeypatch.setattr(headers, "FIELDS", {"outer": ("within", "in.b", "next"), "inner": ("b",)})
    source = headers._BASE + headers.declarations(types)
    source += '_Static_assert(TYPE_outer == 5 && TYPE_inner == 3, "ids");\n'
    for field, offset in {"within": 16, "in.b": 36, "next": 40}.items():
        source += f'_Static_assert(__builtin_offsetof(struct outer, {field}) == {offset}, "{field}");\n'
    source += '_Static_assert(sizeof(struct outer) == 48, "size");\n'
    (tmp_path / "t.c").write_text(source)
    subprocess.run(["gcc", "-fsyntax-only", str(tmp_path / "t.c")], check=True)


def test_a_field_that_kernels_call_differently_has_a_name_of_ours(
    types: KernelTypes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first of its names that there is, also within an embedded structure, at its offset; else it is refused."""
    monkeypatch.setattr(headers, "FIELDS", {"outer": ("next",)})
    monkeypatch.setattr(headers, "RENAMED_FIELDS", {"outer": {"ours": ("new", "in.b"), "other": ("within",)}})
    source = headers._BASE + headers.declarations(types)
    for field, offset in {"ours": 36, "other": 16, "next": 40}.items():
        source += f'_Static_assert(__builtin_offsetof(struct outer, {field}) == {offset}, "{field}");\n'
    source += '_Static_assert(sizeof(struct outer) == 48, "size");\n'
    (tmp_path / "t.c").write_text(source)
    subprocess.run(["gcc", "-fsyntax-only", str(tmp_path / "t.c")], check=True)
    monkeypatch.setattr(headers, "RENAMED_FIELDS", {"outer": {"ours": ("new", "in.new")}})
    with pytest.raises(KernelUnable, match=r"none of new, in\.new"):
        headers.declarations(types)


@pytest.mark.parametrize("fields", [{"missing": ("a",)}, {"outer": ("missing",)}])
def test_a_kernel_without_a_field_is_named(
    types: KernelTypes, monkeypatch: pytest.MonkeyPatch, fields: dict[str, tuple[str, ...]]
) -> None:
    """Nothing is guessed."""
    monkeypatch.setattr(headers, "FIELDS", fields)
    with pytest.raises(KernelUnable, match=r"missing.*nothing was loaded"):
        headers.declarations(types)


@pytest.mark.parametrize("blob", [b"", b"\0" * 24, b"\x9f\xeb"])
def test_rubbish_is_not_btf(blob: bytes) -> None:
    """A short or foreign file is refused."""
    with pytest.raises(KernelUnable, match="not BTF"):
        KernelTypes(blob)


def test_every_field_that_probes_read_is_declared() -> None:
    """Each READ of a structure's field in the probes is in FIELDS."""
    probes = Path(__file__).resolve().parents[3] / "probes"
    reads = re.compile(r"READ(?:_BYTES)?\([^;]*?struct (\w+), [^;]*?, ([\w.]+)(?:\[\d+\])?\);")
    used = set()
    for path in [*probes.glob("*.c"), *probes.glob("include/*.h")]:
        used |= set(reads.findall(path.read_text()))
    assert used
    for structure, field in used:
        declared = headers.FIELDS[structure]
        assert field in declared or any(each.startswith(field + ".") for each in declared), (structure, field)
