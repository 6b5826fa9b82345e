"""Golden cases: policies in, maps and C out. `tests/golden/NAME/policy.yaml` → `image.json` beside it.

A change of meaning shows as a change of these files, to be read before it is committed. `--check` compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bulkhead.cli.image_text import describe
from bulkhead.cli.policy_files import merged
from bulkhead.kernel.plan import Parameters, render
from bulkhead.policy.lower import lower
from tools.generated_files import ROOT, check_asked, settle

GOLDEN = ROOT / "tests/golden"


def cases() -> dict[Path, str]:
    """Every generated file and what should be in it."""
    files = {}
    for policy in sorted(GOLDEN.glob("*/policy.yaml")):
        image = describe(lower(merged([policy])))
        files[policy.with_name("image.json")] = json.dumps(image, indent=1, ensure_ascii=False) + "\n"
    for storage in (False, True):
        name = "with" if storage else "without"
        files[GOLDEN / f"render/{name}_cgroup_storage.c"] = render(
            Parameters(
                cgroup_storage=storage,
                storage_cache=storage,
                idmapped_setattr=storage,
                task_from_pid=storage,
                readonly_cast=storage,
            )
        )
    return files


def main() -> int:
    """Write, or compare."""
    return settle(cases(), check=check_asked(__doc__), remedy="make gen-golden")


if __name__ == "__main__":
    sys.exit(main())
