"""A rule holds for a file by whatever name or way it is reached."""

from __future__ import annotations

import array
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, policy

ACTS = Path(__file__).with_name("alias_acts.py")
DEEP = 1900  # levels; a path of 4,096 bytes has at most 2,047


def rule(*paths: str) -> str:
    """A rule on reading these."""
    return policy(f"""
  files:
    rules:
    - {{name: r, action: Deny, operations: [Read], paths: {json.dumps(paths)}}}
""")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """covered/secret is under the rule."""
    for name in ("covered/below", "free"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "covered/secret").write_text("secret")
    (tmp_path / "free/other").write_text("other")
    (tmp_path / "link").symlink_to(tmp_path / "covered/secret")
    (tmp_path / "link-to-directory").symlink_to("covered")
    (tmp_path / "free/older").hardlink_to(tmp_path / "covered/secret")
    shutil.copy("/bin/sleep", tmp_path / "covered/sleep")
    return tmp_path


@contextmanager
def giver(tree: Path) -> Iterator[int]:
    """Gives an open descriptor of the secret, which is yielded, to whoever connects."""
    descriptor = os.open(tree / "covered/secret", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tree / "giver"))
        listening.listen()

        def give() -> None:
            connection, _ = listening.accept()
            with connection:
                message = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
                connection.sendmsg([b"x"], [message])

        thread = threading.Thread(target=give)
        thread.start()
        yield descriptor
        thread.join(60)
    (tree / "giver").unlink()
    os.close(descriptor)


def try_all(box: Box, tree: Path) -> dict[str, str]:
    """What comes of each way to the secret."""
    with giver(tree) as descriptor:
        done = box.run("python3", "-S", str(ACTS), str(tree), str(os.getpid()), str(descriptor))
    assert done.status == 0, done
    return {str(way): str(result) for way, result in json.loads(done.out).items()}


def test_no_alias_helps(bench: Bench, tree: Path) -> None:
    """Every way is denied under the rule, and every one works under a rule for another path."""
    with bench.box(rule(f"{tree}/elsewhere/**")) as box:
        assert set(try_all(box, tree).values()) == {"secret"}
    with bench.box(rule(f"{tree}/covered/**")) as box:
        results = try_all(box, tree)
        assert {way: result for way, result in results.items() if result != "EPERM"} == {}
        assert box.sh(f"cat {tree}/free/other").out == "other"


def test_a_path_of_any_depth_is_decided(bench: Bench, tree: Path) -> None:
    """Nothing known, and more levels than any path can name at once: the first open is judged right, also beside it."""
    for name in ("covered", "free"):
        directory = os.open(tree / name, os.O_PATH)
        for _ in range(DEEP):
            os.mkdir("d", dir_fd=directory)
            deeper = os.open("d", os.O_PATH, dir_fd=directory)
            os.close(directory)
            directory = deeper
        for file in ("file", "other"):
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        os.close(directory)
    deep = "/".join(["d"] * DEEP)
    with bench.box(rule(f"{tree}/covered/**/file")) as box:
        before = bench.instance.statistics()["depth_exceeded"]
        assert box.sh(f"cat {tree}/covered/{deep}/file").denied
        assert box.sh(f"cat {tree}/covered/{deep}/other && cat {tree}/free/{deep}/file").status == 0
        assert bench.instance.statistics()["depth_exceeded"] == before
