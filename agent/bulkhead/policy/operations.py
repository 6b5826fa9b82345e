"""Operations by the words of policies: Read, Egress, LoadModule. The kernel boundary has the numbers."""

from __future__ import annotations

from bulkhead.abi import OPERATION_PRIVILEGED, Operation

OPERATION_WORDS = {each: "".join(part.capitalize() for part in each.name.split("_")) for each in Operation}
PRIVILEGED = tuple(each for each in Operation if each >= OPERATION_PRIVILEGED)

_NAMED = {word: each for each, word in OPERATION_WORDS.items()}


def operation_named(word: str) -> Operation:
    """The operation of a word that a policy may use. Raises KeyError for any other."""
    return _NAMED[word]
