"""`bulkhead doctor`: what this kernel and node can enforce, what is missing, and how to mend it.

The kernel is asked by `bulkhead.kernel.features`; what belongs to the node is added here. Exit status 0 where every
section of a policy can be enforced, 1 where not. Next step for a reader: docs/operations.md explains each line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from bulkhead.errors import NotEnforceable
from bulkhead.kernel.features import CGROUP_V2, SECTIONS, Feature, Report, detect
from bulkhead.node.cgroups import mount_point

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

STATES = {True: "ok", False: "missing", None: "unknown"}


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "doctor",
        help="what this kernel and node can enforce",
        description="What this kernel and node can enforce, what is missing and how to mend it. "
        "Ends with 1 where something that enforcement needs is missing.",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, print to stdout, and return the exit status."""
    report = detect((cgroup_hierarchy(),))
    print(as_json(report) if arguments.output == "json" else as_text(report))
    return 0 if report.can_enforce else 1


def cgroup_hierarchy() -> Feature:
    """The unified cgroup hierarchy as a feature."""
    try:
        return Feature(CGROUP_V2, True, True, str(mount_point()))
    except NotEnforceable as error:
        found, _, remedy = str(error).removesuffix(")").partition("; nothing is enforced (")
        return Feature(CGROUP_V2, False, True, found, remedy)


def as_json(report: Report) -> str:
    """One object on one line; stable."""
    return json.dumps(
        {
            "kernel": report.kernel,
            "can_enforce": report.can_enforce,
            "sections": {
                section: {"enforceable": not report.missing(section), "missing": report.missing(section)}
                for section in SECTIONS
            },
            "features": [asdict(feature) for feature in report.features],
        }
    )


def as_text(report: Report) -> str:
    """Three parts: what can be enforced, what was found, what to do."""
    return "\n".join((*_sections(report), "", *_features(report), "", *_remedies(report)))


def _sections(report: Report) -> Iterator[str]:
    yield f"Kernel {report.kernel} can enforce:"
    for section in SECTIONS:
        missing = report.missing(section)
        yield f"  {section:<14}{'no: ' + ', '.join(missing) if missing else 'yes'}"


def _features(report: Report) -> Iterator[str]:
    width = max(len(feature.name) for feature in report.features) + 2
    yield "Found:"
    for feature in report.features:
        optional = "" if feature.needed or feature.ok else " (optional)"
        yield f"  {feature.name:<{width}}{STATES[feature.ok]:<9}{feature.found}{optional}"


def _remedies(report: Report) -> Iterator[str]:
    to_mend = [feature for feature in report.features if not feature.ok and feature.remedy]
    for title, needed in (("To mend:", True), ("Worth mending:", False)):
        remedies = [feature for feature in to_mend if feature.needed is needed and feature.ok is False]
        if remedies:
            yield title
            yield from (f"  {feature.name}: {feature.remedy}" for feature in remedies)
    yield "Everything can be enforced." if report.can_enforce else "Not everything can be enforced on this machine."
