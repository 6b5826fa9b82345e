"""`bulkhead policy render`: exactly what is compiled, what the maps will hold, and how much of them it takes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkhead.policy.image import SetImage

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "render",
        help="the exact C and map contents",
        description="Prints the C that is compiled and the contents of the maps for the policies, merged.",
        epilog="example: bulkhead policy render examples/secrets.yaml",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument("--no-c", action="store_true", help="only the maps")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print both."""
    from bulkhead.cli.image_text import describe  # noqa: PLC0415
    from bulkhead.cli.policy_files import merged  # noqa: PLC0415
    from bulkhead.policy.lower import lower  # noqa: PLC0415

    image = lower(merged(arguments.files))
    shown = {"size": size(image), **describe(image)}
    if arguments.output == "json":
        print(json.dumps(shown))
        return 0
    if not arguments.no_c:
        print(_program_text())
    for name, value in shown.items():
        print(f"{name}: {value}" if not isinstance(value, list) else f"{name}:")
        for row in value if isinstance(value, list) else []:
            print(f"  {row}")
    return 0


def size(image: SetImage) -> dict[str, int]:
    """What the set takes in the kernel's maps: limits are in docs/limits.md."""
    from bulkhead.abi import STATE_SINK  # noqa: PLC0415

    slots = image.automaton.slots
    slot_bytes = slots.itemsize * len(slots)
    return {
        "rules": len(image.rules),
        "states": sum(1 for slot in slots if slot >> 32 & STATE_SINK),
        "slots": len(slots),
        "slot_bytes": slot_bytes,
        "slot_bytes_a_rule": slot_bytes // max(1, len(image.rules)),
        "outcomes": len(image.outcomes),
        "subjects": len(image.subjects),
        "prefixes": sum(len(each.prefixes) for each in image.subjects),
        "ports": len(image.ports),
    }


def _program_text() -> str:
    """The C for a kernel like this one, with every file that it includes."""
    from bulkhead.kernel.plan import Parameters, probes_directory, render  # noqa: PLC0415

    parts = [render(Parameters(cgroup_storage=True))]
    directory = probes_directory()
    for path in [*sorted(directory.glob("include/*.h")), *sorted(directory.glob("*.bpf.c"))]:
        parts.append(f"/* ==== {path.relative_to(directory)} ==== */\n{path.read_text()}")
    return "\n".join(parts)
