"""Every error that Bulkhead raises on purpose, ordered by what the caller can do about it.

    BulkheadError
    ├── InvalidInput            mend the input; exit status 2
    │   ├── UsageError              the command line or a setting
    │   └── PolicyRefused           one or more policy documents; carries `problems`
    ├── NotEnforceable          this kernel or node cannot; exit status 1
    │   ├── KernelUnable            a feature is missing; `bulkhead doctor` says which
    │   ├── ProgramRefused          the verifier said no; carries its log
    │   └── DoesNotFit              a limit was reached; carries the number and the limit
    ├── StillBuilding           ask again when its event is set
    ├── Unreachable             try again later; exit status 3
    ├── Damaged                 stored data is not what was written (spool, bundle, store)
    └── InternalError           our bug: an assumption that did not hold

Every message says what failed, on what, and what stays enforced now. Errors are translated at the edge that met them
(`kernel`, `report`, `collector`); nothing above the edge catches `OSError` or `grpc.RpcError`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


class BulkheadError(Exception):
    """Root of the tree. A command line that meets it shows it and `remedy`, if any, and ends with `exit_status`."""

    exit_status = 1
    remedy: str = ""


class InvalidInput(BulkheadError):
    """The caller's input is wrong, and the message says how to mend it."""

    exit_status = 2


class UsageError(InvalidInput):
    """A command-line option or a setting is wrong."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one policy document.

    `line` counts from 1 and is 0 where there is none; `field` is a path such as `spec.exec.rules[0].paths[1]`;
    `remedy` says what to write instead.
    """

    file: str
    line: int
    field: str
    message: str
    remedy: str = ""
    policy: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        field = f": {self.field}" if self.field else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return _printable(f"{where}{field}: {self.message}{remedy}")


def _printable(text: str) -> str:
    """One line without control characters: what a document holds must not write lines or colours of its own."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


class PolicyRefused(InvalidInput):
    """Policy documents that are not enforced, with every reason found. Other documents are not touched by it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class NotEnforceable(BulkheadError):
    """This kernel or node cannot enforce what was asked."""


class KernelUnable(NotEnforceable):
    """The kernel lacks a feature that enforcement needs."""


class ProgramRefused(NotEnforceable):
    """The kernel refused a program. `log` is the verifier's, possibly empty."""

    def __init__(self, message: str, log: str = "") -> None:
        self.log = log
        super().__init__(message)


class DoesNotFit(NotEnforceable):
    """A limit of docs/limits.md was reached; nothing was changed."""

    def __init__(self, what: str, needed: int, limit: int) -> None:
        self.what, self.needed, self.limit = what, needed, limit
        super().__init__(f"{what}: {needed} needed, the limit is {limit}; nothing was changed")


class StillBuilding(BulkheadError):
    """A policy set is being built beside the caller; `ended` is set when that has ended, well or not."""

    def __init__(self, rules: int, ended: threading.Event) -> None:
        self.ended = ended
        super().__init__(f"a policy set of {rules} rules is being built; what was enforced goes on meanwhile")


class Unreachable(BulkheadError):
    """The other side (collector, API server) cannot be reached now."""

    exit_status = 3


class Damaged(BulkheadError):
    """Stored data is not what was written."""


class InternalError(BulkheadError):
    """An assumption of ours did not hold: please report it."""
