"""What a path pattern may look like. The meaning is `policy.automaton`'s.

Absolute; `*` and `?` within one element, `**` alone as a middle or the last element.
"""

from __future__ import annotations

from bulkhead.policy.refusal import refusal

PATH_BYTES = 4096  # PATH_MAX of include/uapi/linux/limits.h: no system call takes a longer path
ELEMENT_BYTES = 255  # NAME_MAX


def check_pattern(pattern: str) -> str:
    """The pattern, if it is one; else a refusal."""
    if not pattern.startswith("/"):
        raise refusal("is not an absolute path", f"begin it with a slash: /{pattern}")
    if "\0" in pattern:
        raise refusal("has a NUL byte in it, which no path can have", "leave it out")
    if len(pattern.encode("utf-8", "surrogateescape")) > PATH_BYTES:
        raise refusal(f"is longer than {PATH_BYTES} bytes, and no path can be", "use * or ** for a part of it")
    if pattern == "/":
        return pattern
    elements = pattern[1:].split("/")
    for index, element in enumerate(elements):
        _check_element(element, last=index == len(elements) - 1, after=elements[index - 1] if index else "")
    return pattern


def _check_element(element: str, last: bool, after: str) -> None:
    if not element:
        raise refusal(
            "ends with a slash" if last else "has an empty element",
            "leave the slash off, or write dir/** for everything below dir" if last else "write one slash, not two",
        )
    if element in (".", ".."):
        raise refusal(f"has {element} in it, which no resolved path has", "write the path that it leads to")
    if "**" in element and element != "**":
        raise refusal(
            f"has ** within the element {element}", "** stands alone between slashes; use * within an element"
        )
    if element == after == "**":
        raise refusal("has ** twice in a row", "one ** already stands for any number of elements")
    if len(element.encode("utf-8", "surrogateescape")) > ELEMENT_BYTES:
        message = f"has an element longer than {ELEMENT_BYTES} bytes, and no file name can be"
        raise refusal(message, "use * for a part of it")
