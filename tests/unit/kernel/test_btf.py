"""What the verifier is told about functions: who is global, and whose pointer is to be trusted."""

from __future__ import annotations

import pytest

from bulkhead.kernel.btf import function_types
from bulkhead.kernel.kernel_btf import DECLARATION_TAG, FUNCTION, KernelTypes, Type

STATIC, GLOBAL = 0, 1


def functions(blob: bytes) -> dict[str, Type]:
    """By name."""
    types = KernelTypes(blob)
    return {found.name: found for found in map(types.at, range(1, len(types._starts))) if found.kind == FUNCTION}


def tags(blob: bytes) -> list[tuple[str, str]]:
    """Each tag with the function that it is on."""
    types = KernelTypes(blob)
    every = map(types.at, range(1, len(types._starts)))
    return [(found.name, types.at(found.size_or_type).name) for found in every if found.kind == DECLARATION_TAG]


@pytest.mark.parametrize("name", ["resolve_path", "resolve_dentry"])
def test_a_trusted_function_is_global_with_a_tag_or_static_without(name: str) -> None:
    """Only with the tag do kernels trust what is given to a global function."""
    blob, _ = function_types(("file_open", name), trusted_global=True)
    assert functions(blob)[name].members == GLOBAL
    assert tags(blob) == [("arg:trusted", name)]
    blob, _ = function_types(("file_open", name), trusted_global=False)
    assert functions(blob)[name].members == STATIC
    assert tags(blob) == []


def test_a_global_function_may_have_no_argument() -> None:
    """Others have one, a structure whose size the verifier is told."""
    blob, ids = function_types(("find_container", "report"), trusted_global=True)
    assert set(ids) == {"find_container", "report"}
    types = KernelTypes(blob)
    assert types.parameters("find_container") == 0
    assert types.parameters("report") == 1
