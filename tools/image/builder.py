"""Calls of buildah, with a store of their own in the cache.

Why here: the edge where processes are. Each call has mounts of its own: buildah's store would leave some behind, which
keep the cache from being deleted. Where the machine cannot overlay directories, buildah copies them instead: slower,
the same. Next step: `make` says in which order.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tools.image import IMAGES, ImageError

STORE = IMAGES / "store"
LOG = IMAGES / "build.log"
TIMEOUT_S = 1_800  # a minute's work for a machine of its own; a mirror may be slow
SHOWN_LINES = 60  # of a failed step's output
_STARTED = time.monotonic()


def say(text: str) -> None:
    """One line of progress on stderr, with the seconds since this program started."""
    print(f"image: {time.monotonic() - _STARTED:5.1f} s  {text}", file=sys.stderr, flush=True)


def run(command: list[str]) -> None:
    """Runs a step; its output is in `LOG`, and in the `ImageError` where it fails."""
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}  # needs no more of the machine than root
    with LOG.open("w") as log:
        try:
            subprocess.run(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                check=True,
                timeout=TIMEOUT_S,
                env=environment,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            output = "\n".join(LOG.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
            how = "took too long" if isinstance(error, subprocess.TimeoutExpired) else f"ended with {error.returncode}"
            raise ImageError(f"{output}\nimage: `{' '.join(command[:7])} …` {how}; the archive is as it was") from error


def build(
    folder: Path,
    name: str,
    *,
    target: str = "",
    arguments: Mapping[str, str] | None = None,
    mounts: Mapping[Path, str] | None = None,
) -> None:
    """Builds the Dockerfile in `folder` (up to a target) as the image `name`; nothing is fetched from a registry."""
    options = ["--layers", "--pull-never", "--tag", name]
    options += ["--target", target] if target else []
    options += [part for key, value in (arguments or {}).items() for part in ("--build-arg", f"{key}={value}")]
    options += [part for host, inside in (mounts or {}).items() for part in ("--volume", f"{host}:{inside}:ro")]
    run([*_buildah(), "bud", *options, str(folder)])


def load(archive: Path) -> None:
    """Takes the image of an archive into the store, where it is not there yet."""
    run([*_buildah(), "pull", f"docker-archive:{archive}"])


def save(name: str, archive: Path) -> None:
    """Writes the image `name` into an archive, which must not exist."""
    run([*_buildah(), "push", name, f"docker-archive:{archive}:{name}"])


def _buildah() -> list[str]:
    store = ["--root", str(STORE), "--runroot", str(IMAGES / "run"), "--storage-driver", _driver()]
    return ["unshare", "--mount", "buildah", *store]


@cache
def _driver() -> str:
    """How the store keeps layers, tried out: buildah would try, too, but then takes its trial for an older store."""
    with tempfile.TemporaryDirectory(prefix=".overlay.", dir=IMAGES) as folder:
        for name in ("lower", "upper", "work", "all"):
            (Path(folder) / name).mkdir()
        trial = ["mount", "-t", "overlay", "overlay", "-o", "lowerdir=lower,upperdir=upper,workdir=work", "all"]
        result = subprocess.run(["unshare", "--mount", *trial], cwd=folder, capture_output=True, check=False)
    return "vfs" if result.returncode else "overlay"
