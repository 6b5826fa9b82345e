"""Container numbers: none is given out again while threads live that departed from its container."""

from __future__ import annotations

import struct
from typing import cast

from bulkhead import abi
from bulkhead.enforcement.departures import Departures
from bulkhead.kernel.maps import Maps, word

ONE, OTHER, THIRD = 4711, 4712, 4713  # cgroup ids


class Array:
    """A map of 64-bit values by number."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes:
        """Never missing: the kernel's arrays have all their entries."""
        return self.values.get(key, bytes(8))

    def put(self, key: bytes, value: bytes) -> None:
        """Write it."""
        self.values[key] = value

    def items(self) -> list[tuple[bytes, bytes]]:
        """All that was written."""
        return list(self.values.items())


class Kernel:
    """The two maps, which outlive whoever gives out numbers."""

    def __init__(self) -> None:
        self._maps = {"departed": Array(), "homes": Array()}

    def departed(self, index: int, threads: int) -> None:
        """So many threads live that departed from a container."""
        self._maps["departed"].put(word(index), struct.pack("<Q", threads))

    def numbers(self) -> Departures:
        """Somebody who gives out numbers."""
        return Departures(cast(Maps, self._maps))


def test_a_number_that_is_in_use_goes_to_no_other_container() -> None:
    """It comes back to its own container, and to all when the last thread has ended."""
    kernel = Kernel()
    numbers = kernel.numbers()
    first = numbers.take(ONE)
    kernel.departed(first, 2)
    assert numbers.departed(first) == 2
    numbers.give_back(first)
    taken = [numbers.take(OTHER + number) for number in range(abi.MAX_CONTAINERS - 2)]
    assert first not in taken
    assert numbers.take(ONE) == first
    numbers.give_back(first)
    kernel.departed(first, 0)
    assert numbers.take(OTHER + abi.MAX_CONTAINERS) == first


def test_an_agent_that_starts_again_knows_the_numbers_in_use() -> None:
    """Those of containers that are over, besides those that it takes over."""
    kernel = Kernel()
    before = kernel.numbers()
    held, over, free = (before.take(each) for each in (ONE, OTHER, THIRD))
    kernel.departed(held, 1)
    kernel.departed(over, 1)
    kernel.departed(free, 0)
    after = kernel.numbers()
    after.hold(held)
    after.adopt({held})
    assert after.take(OTHER) == over
    rest = {after.take(2 * THIRD + number) for number in range(abi.MAX_CONTAINERS - 3)}
    assert rest == {*range(1, abi.MAX_CONTAINERS)} - {held, over}
