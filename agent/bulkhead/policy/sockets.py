"""Names of address families and socket types and their numbers, as in include/linux/socket.h and linux/net.h."""

from __future__ import annotations

FAMILIES = {
    "unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "can": 29, "bluetooth": 31, "alg": 38, "vsock": 40,
    "smc": 43, "xdp": 44,
}  # fmt: skip
TYPES = {"stream": 1, "dgram": 2, "raw": 3, "rdm": 4, "seqpacket": 5, "packet": 10}

_FAMILY_NAMES = {number: name for name, number in FAMILIES.items()}
_TYPE_NAMES = {number: name for name, number in TYPES.items()}


def family_name(number: int) -> str:
    """The name of an address family; its number as text where policies have no name for it."""
    return _FAMILY_NAMES.get(number, str(number))


def type_name(number: int) -> str:
    """The name of a socket type; its number as text where policies have no name for it."""
    return _TYPE_NAMES.get(number, str(number))


def socket_text(family: int, kind: int) -> str:
    """A socket as violations show it: `packet/raw`."""
    return f"{family_name(family)}/{type_name(kind)}"
