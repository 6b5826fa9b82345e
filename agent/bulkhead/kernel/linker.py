"""Joins what bcc compiled function by function into whole programs, with maps by identifier.

bcc gives each function's instructions on their own. Calls and callbacks carry numbers (`abi.Linked`), map references
carry identifiers (`abi.MAPS`), functions of the kernel numbers (`abi.KernelFunction`). All are resolved here, purely,
except that a map stays a name until it exists.
Instruction encoding: Documentation/bpf/standardization/instruction-set.rst. Next step: `bulkhead.kernel.bundle`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from bulkhead.abi import KernelFunction
from bulkhead.errors import InternalError
from bulkhead.kernel.plan import FUNCTIONS, KERNEL_FUNCTIONS, Program

INSTRUCTION = struct.Struct("<BBhi")
_CALL = 0x85
_LOAD_64 = 0x18
_PSEUDO_MAPS = (1, 2)  # a map, its value
_PSEUDO_CALL = 1
_PSEUDO_KERNEL_CALL = 2
_PSEUDO_FUNCTION = 4

_BY_NUMBER = {int(function.number): function for function in FUNCTIONS}


@dataclass
class Instruction:
    """One instruction: opcode, registers (source in the upper half), offset, immediate."""

    opcode: int
    registers: int
    offset: int
    immediate: int

    @property
    def source(self) -> int:
        """The source register, which for pseudo instructions says what the immediate is."""
        return self.registers >> 4

    def mark(self, source: int, immediate: int) -> None:
        """Make it a pseudo instruction."""
        self.registers = source << 4 | (self.registers & 15)
        self.immediate = immediate


@dataclass(frozen=True)
class LinkedProgram:
    """A whole program. `maps` are (instruction index, map identifier), `functions` (first instruction, name)."""

    name: str
    code: bytes
    maps: tuple[tuple[int, int], ...]
    functions: tuple[tuple[int, str], ...]


def decode(code: bytes) -> list[Instruction]:
    """The instructions of a function."""
    return [Instruction(*INSTRUCTION.unpack_from(code, at)) for at in range(0, len(code), INSTRUCTION.size)]


def link(
    program: Program, compiled: Mapping[str, bytes], of_kernel: Mapping[KernelFunction, int | None]
) -> LinkedProgram:
    """The program with every function that it reaches.

    `compiled` has each function's code by name, `of_kernel` the type id of each of the kernel's, or None.
    """
    parts = _reachable(program.name, compiled)
    lengths = [len(part) for part in parts.values()]
    starts = dict(zip(parts, accumulate(lengths, initial=0), strict=False))
    for name, part in parts.items():
        _resolve_calls(part, starts, starts[name])
        _resolve_kernel_calls(part, of_kernel)
    instructions = [instruction for part in parts.values() for instruction in part]
    maps = tuple(
        (index, instruction.immediate)
        for index, instruction in enumerate(instructions)
        if instruction.opcode == _LOAD_64 and instruction.source in _PSEUDO_MAPS
    )
    code = b"".join(INSTRUCTION.pack(i.opcode, i.registers, i.offset, i.immediate) for i in instructions)
    return LinkedProgram(program.name, code, maps, tuple((start, name) for name, start in starts.items()))


def _reachable(name: str, compiled: Mapping[str, bytes]) -> dict[str, list[Instruction]]:
    parts: dict[str, list[Instruction]] = {}
    wanted = [name]
    while wanted:
        current = wanted.pop(0)
        if current in parts:
            continue
        if current not in compiled:
            raise InternalError(f"probe function {current} was not compiled; nothing was loaded")
        parts[current] = decode(compiled[current])
        if any(each.opcode == _CALL and each.source == _PSEUDO_CALL for each in parts[current]):
            raise InternalError(f"probe function {current} calls one outside (memcmp?); nothing was loaded")
        wanted += [callee for _, callee in _references(parts[current])]
    return parts


def _references(part: list[Instruction]) -> list[tuple[int, str]]:
    """(instruction index, callee) of each call and callback of a shared function."""
    found = []
    for index, instruction in enumerate(part):
        number = 0
        if instruction.opcode == _CALL and instruction.source == 0:
            number = instruction.immediate
        elif instruction.opcode == _LOAD_64 and instruction.source == 0 and instruction.immediate == 1:
            number = part[index + 1].immediate >> 16
        if number in _BY_NUMBER:
            found.append((index, _BY_NUMBER[number].name))
    return found


def _resolve_calls(part: list[Instruction], starts: Mapping[str, int], start: int) -> None:
    for index, callee in _references(part):
        distance = starts[callee] - (start + index) - 1
        if part[index].opcode == _CALL:
            part[index].mark(_PSEUDO_CALL, distance)
        else:
            part[index].mark(_PSEUDO_FUNCTION, distance)
            part[index + 1] = Instruction(0, 0, 0, 0)


def _resolve_kernel_calls(part: list[Instruction], of_kernel: Mapping[KernelFunction, int | None]) -> None:
    for instruction in part:
        if instruction.opcode != _CALL or instruction.source or instruction.immediate not in of_kernel:
            continue
        number = KernelFunction(instruction.immediate)
        type_id = of_kernel[number]
        if type_id is None:
            raise InternalError(f"the kernel has no function {KERNEL_FUNCTIONS[number]}; nothing was loaded")
        instruction.mark(_PSEUDO_KERNEL_CALL, type_id)
