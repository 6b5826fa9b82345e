"""Decides what has to be built, and builds it: the base image, then what stands on it.

Why here: the order of the steps, and what makes one needless. An archive appears under its name in one step, after it
was found to hold nothing of this machine. `inputs` says what decides, `builder` does the work.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bulkhead import __version__
from tools.image import CHECKOUT, IMAGES, NAMES, ImageError, base, builder, inputs, machine, traces

PACKAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}  # program -> Debian package


def made(names: list[str]) -> dict[str, Path]:
    """The archives of the images `names`, built where their inputs have changed. Raises `ImageError`."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (IMAGES / ".lock").open("w") as lock:
        _wait_for(lock)
        missing = [name for name in names if not _is_made(name)]
        if missing:
            _check_machine()
            _make(missing)
    return {name: archive_of(name) for name in names}


def _wait_for(lock: IO[str]) -> None:
    """Two of us would build the same, and the second finds it made."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        builder.say("waiting for another build of images to end")
        fcntl.flock(lock, fcntl.LOCK_EX)


def key(name: str) -> str:
    """All that decides what the image is, in one word."""
    if name == "debian":
        return inputs.digest(CHECKOUT, (), base.RECIPE)
    return inputs.digest(CHECKOUT, inputs.CONTEXT[name], base.RECIPE, NAMES[name])


def archive_of(name: str) -> Path:
    """Where the archive of an image is, once it was built."""
    return IMAGES / f"{name}.tar"


def _is_made(name: str) -> bool:
    stamp = archive_of(name).with_suffix(".key")
    return archive_of(name).is_file() and stamp.is_file() and stamp.read_text() == key(name)


def _check_machine() -> None:
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        raise ImageError(f"missing, nothing was built: apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        raise ImageError("only root can build images here; nothing was built")


def _make(names: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix=".machine.", dir=IMAGES) as folder:
        mounts = machine.staged(base.SUITE, Path(folder))
        if not _is_made("debian"):
            _make_base(*mounts)
        builder.load(archive_of("debian"))
        for name in (name for name in names if name != "debian"):
            builder.say(f"building {name}")
            arguments = {"BASE": NAMES["debian"], "VERSION": __version__}
            with _published(name):
                builder.build(CHECKOUT, NAMES[name], target=name, arguments=arguments, mounts=mounts)


def _make_base(apt: Path, _home: Path) -> None:
    shutil.rmtree(builder.STORE, ignore_errors=True)  # every layer in it stands on the old base
    with tempfile.TemporaryDirectory(prefix=".base.", dir=IMAGES) as folder, _published("debian"):
        work = Path(folder)
        builder.say(f"making a small Debian {base.SUITE} from packages")
        sources, settings = apt / "sources.list.d/machine.sources", apt / "apt.conf.d/machine"
        builder.run(base.command(sources, settings, work / "tree.tar"))
        (work / "Dockerfile").write_text(base.DOCKERFILE)
        builder.build(work, NAMES["debian"])


@contextmanager
def _published(name: str) -> Iterator[None]:
    """What is built inside becomes the archive of `name`, if it may be given away."""
    wanted = key(name)  # of the files as they are before they are read: a later change is built next time
    yield
    with tempfile.TemporaryDirectory(prefix=".archive.", dir=IMAGES) as folder:
        fresh = Path(folder) / "image.tar"
        builder.save(NAMES[name], fresh)
        builder.say(f"searching {name} for traces of this machine")
        if found := traces.found(fresh, machine.marks()):
            listed = ", ".join(found[:10])
            raise ImageError(f"{name} holds addresses or certificates of this machine: {listed}; it was not kept")
        stamp = archive_of(name).with_suffix(".key")
        stamp.unlink(missing_ok=True)
        fresh.rename(archive_of(name))
        stamp.write_text(wanted)
    builder.say(f"{NAMES[name]} is in {archive_of(name).relative_to(CHECKOUT)}")
