"""A container whose file system never answers keeps its old policy, and no other container from its new one."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bulkhead.enforcement import looks
from bulkhead.errors import NotEnforceable
from tests.kernel.enforcement.box import Bench, policy

LATE_S = 60.0
_libc = ctypes.CDLL(None, use_errno=True)


def deny(*paths: str) -> str:
    """A policy."""
    return policy(f"""
  exec:
    rules: [{{name: r, action: Deny, paths: {json.dumps(paths)}}}]
""")


@contextmanager
def silent(folder: Path) -> Iterator[ExitStack]:
    """A FUSE file system whose server reads no request. Closing the stack ends it: whoever waits gets an error."""
    subprocess.run(["modprobe", "fuse"], check=True)
    folder.mkdir()
    with ExitStack() as server:
        descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        server.callback(os.close, descriptor)
        options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0".encode()
        assert _libc.mount(b"silent", os.fsencode(folder), b"fuse", 0, options) == 0, os.strerror(ctypes.get_errno())
        server.callback(_libc.umount2, os.fsencode(folder), 2)  # MNT_DETACH; before the descriptor is closed
        yield server


def looking() -> list[threading.Thread]:
    """Looks that go on."""
    return [each for each in threading.enumerate() if each.name == "looking"]


def test_a_file_system_that_never_answers_keeps_only_its_own_container_waiting(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told of, it is not asked again while the first look lasts, and once it answers its policy changes."""
    monkeypatch.setattr(looks, "LOOK_S", 2.0)
    folder = tmp_path / "silent"
    there = deny("/usr/bin/whoami", f"{folder}/app/**")
    with bench.box(deny("/usr/bin/id")) as box, bench.box(deny("/usr/bin/id")) as neighbour, silent(folder) as server:
        for _ in range(2):
            with pytest.raises(NotEnforceable, match=r"does not answer; .* what was enforced goes on"):
                box.apply(there)
            (look,) = looking()
        assert box.run("/usr/bin/id").status == 126
        assert box.run("/usr/bin/whoami").status == 0
        assert neighbour.apply(deny("/usr/bin/whoami"))
        assert neighbour.run("/usr/bin/whoami").status == 126
        server.close()
        look.join(LATE_S)
        assert box.apply(there)
        assert box.run("/usr/bin/whoami").status == 126
