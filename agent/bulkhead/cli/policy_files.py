"""Policy files on a command line, read and merged: all of them good, or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.errors import PolicyRefused

if TYPE_CHECKING:
    from bulkhead.policy.merge import PolicySet
    from bulkhead.policy.parse import Parsed


def merged(paths: list[Path]) -> PolicySet:
    """The set of every document in the files. Raises `PolicyRefused` with everything that is wrong."""
    from bulkhead.policy.merge import merge  # noqa: PLC0415
    from bulkhead.policy.resolve import resolve  # noqa: PLC0415

    return merge(resolve(policy) for policy in read(paths).policies)


def read(paths: list[Path]) -> Parsed:
    """Every document in the files, each with its place. Raises `PolicyRefused` with everything that is wrong."""
    from bulkhead.policy.parse import parse_files  # noqa: PLC0415

    parsed = parse_files(paths)
    if parsed.problems:
        raise PolicyRefused(parsed.problems)
    return parsed
