"""Functions that were compiled apart become one program."""

from __future__ import annotations

import pytest

from bulkhead.abi import KernelFunction, Linked
from bulkhead.errors import InternalError
from bulkhead.kernel.linker import INSTRUCTION, decode, link
from bulkhead.kernel.plan import Kind, Program

EXIT = INSTRUCTION.pack(0x95, 0, 0, 0)
PROGRAM = Program("file_open", "file.bpf.c", Kind.LSM)


def call(number: int) -> bytes:
    """A call of a helper, or of a shared function by its number."""
    return INSTRUCTION.pack(0x85, 0, 0, number)


def load(source: int, low: int, high: int = 0) -> bytes:
    """A 64-bit constant: a plain one, or with `source` 1 a map."""
    return INSTRUCTION.pack(0x18, source << 4 | 1, 0, low) + INSTRUCTION.pack(0, 0, 0, high)


def test_calls_callbacks_and_maps_are_found() -> None:
    """A call becomes relative, a callback a function's address, a map stays a number until it exists."""
    compiled = {
        "file_open": load(1, 0x4203) + call(Linked.STEP) + load(0, 1, Linked.WALK_UP << 16) + call(1) + EXIT,
        "step": load(1, 0x4205) + EXIT,
        "walk_up": call(Linked.STEP) + EXIT,
        "walk_down": EXIT,
    }
    linked = link(PROGRAM, compiled, {})
    assert linked.functions == ((0, "file_open"), (7, "step"), (10, "walk_up"))
    assert linked.maps == ((0, 0x4203), (7, 0x4205))
    code = decode(linked.code)
    assert (code[2].source, code[2].immediate) == (1, 7 - 2 - 1)
    assert (code[3].source, code[3].immediate, code[4].immediate) == (4, 10 - 3 - 1, 0)
    assert (code[5].source, code[5].immediate) == (0, 1)  # a helper is left alone
    assert (code[10].source, code[10].immediate) == (1, 7 - 10 - 1)


def test_a_missing_function_is_our_bug() -> None:
    """It is named, and nothing is loaded."""
    with pytest.raises(InternalError, match="step was not compiled; nothing was loaded"):
        link(PROGRAM, {"file_open": call(Linked.STEP) + EXIT}, {})


def test_plain_constants_are_not_callbacks() -> None:
    """A constant that happens to end in 1 refers to nothing."""
    linked = link(PROGRAM, {"file_open": load(0, 1, 5) + EXIT}, {})
    assert linked.functions == ((0, "file_open"),)


def test_functions_of_the_kernel_are_called_by_type() -> None:
    """By the id that this kernel's BTF has for each; one that it lacks is our bug, and nothing is loaded."""
    ours = KernelFunction.TASK_FROM_PID
    compiled = {"file_open": call(ours) + call(1) + EXIT}
    code = decode(link(PROGRAM, compiled, {ours: 4711}).code)
    assert [(each.source, each.immediate) for each in code[:2]] == [(2, 4711), (0, 1)]
    with pytest.raises(InternalError, match="has no function bpf_task_from_pid; nothing was loaded"):
        link(PROGRAM, compiled, {ours: None})


def test_a_call_of_what_the_compiler_did_not_inline_is_our_bug() -> None:
    """It comes as a call of no place; the function that has it is named."""
    outside = INSTRUCTION.pack(0x85, 1 << 4, 0, -1)
    with pytest.raises(InternalError, match=r"file_open calls one outside .*nothing was loaded"):
        link(PROGRAM, {"file_open": outside + EXIT}, {})
