"""The images of the bench: two of its own, and those of the project that are built.

Why here: no registry is asked for anything, so every image that a pod of the bench may use is in an archive on this
machine. `pause` is what every pod begins with; `busybox` is for tests. Next step: `images_disk` puts them on a disk.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools.cluster import CLUSTER, HERE, BenchError, archive
from tools.image import NAMES
from tools.image.make import archive_of

PAUSE = "local.test/pause:1"
BUSYBOX = "local.test/busybox:1"
OWN = CLUSTER / "archives"
PAUSE_SOURCE = HERE / "guest/pause.c"


def archives() -> list[Path]:
    """The archives of all images. Raises `BenchError` where one of the project's own is not built."""
    built = {name: archive_of(name) for name in NAMES}
    missing = [name for name, path in built.items() if not path.exists()]
    if missing:
        raise BenchError(
            f"these images are not built, and no cluster is started: {', '.join(missing)}; run `make image`"
        )
    return [*own(), *built.values()]


def own() -> list[Path]:
    """The archives of the bench's own. Raises `BenchError`."""
    return [_pause(), _busybox()]


def _pause() -> Path:
    def fill(root: Path) -> None:
        command = ["gcc", "-static", "-Os", "-s", "-o", str(root / "pause"), str(PAUSE_SOURCE)]
        _checked(command, "gcc")

    return _made("pause", PAUSE, ["/pause"], PAUSE_SOURCE, fill)


def _busybox() -> Path:
    program = Path(shutil.which("busybox") or "")
    if not program.name:
        raise BenchError("busybox is needed for the bench's image and is not installed: install busybox-static")

    def fill(root: Path) -> None:
        for folder in ("bin", "tmp", "etc"):
            (root / folder).mkdir()
        shutil.copy(program, root / "bin/busybox")
        for applet in _checked([str(program), "--list"], "busybox").split():
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")

    return _made("busybox", BUSYBOX, ["/bin/sh"], program, fill)


def _made(name: str, reference: str, entrypoint: list[str], source: Path, fill: Callable[[Path], None]) -> Path:
    """The archive of an image of ours; it is made where it is missing or older than its source."""
    path = OWN / f"{name}.tar"
    if path.exists() and path.stat().st_mtime > max(source.stat().st_mtime, Path(__file__).stat().st_mtime):
        return path
    OWN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=OWN) as work:
        root = Path(work) / "root"
        root.mkdir()
        fill(root)
        archive.write(Path(work) / "archive", reference, root, entrypoint)
        (Path(work) / "archive").rename(path)
    return path


def _checked(command: list[str], what: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BenchError(f"{what} failed while an image of the bench was made: {result.stderr.strip()}")
    return result.stdout
