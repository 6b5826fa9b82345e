"""A rule holds for a file by whatever name or way it is reached."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkhead.node.container import Container
from tests.kernel.enforcement.box import Bench, Box, policy, rules_of

ACTS = Path(__file__).with_name("alias_acts.py")
GIVER = """
import array, os, socket, sys, time
descriptor = os.open(sys.argv[1] + "/covered/secret", os.O_RDONLY)
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1] + "/giver")
listening.listen()
print(descriptor)
connection, _ = listening.accept()
connection.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
time.sleep(1000)
"""
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
def giver(tree: Path) -> Iterator[tuple[int, int]]:
    """A process outside that gives the secret's descriptor to whoever connects; yields its number and the descriptor's.

    Not this process: as the agent, it is guarded.
    """
    command = ["python3", "-S", "-u", "-c", GIVER, str(tree)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.pid, int(process.stdout.readline())
        process.kill()
    (tree / "giver").unlink()


def try_all(box: Box, tree: Path) -> dict[str, str]:
    """What comes of each way to the secret."""
    with giver(tree) as (process, descriptor):
        done = box.run("python3", "-S", str(ACTS), str(tree), str(process), str(descriptor))
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


def test_an_overlay_over_a_covered_directory_is_covered(bench: Bench, tree: Path) -> None:
    """Mounted by the workload, before and after the agent has looked at its mounts through that very process."""
    for fifo in ("go", "there"):
        os.mkfifo(tree / fifo)
    text = rule(f"{tree}/covered/**")
    script = f"""
exec 3<>{tree}/go 4>{tree}/there
mount -t overlay -o lowerdir={tree}/covered:{tree}/free none {tree}/free && echo $$ >&4
exec 4>&-; cat {tree}/free/secret; read -u 3 go; exec cat {tree}/free/secret
"""
    with bench.box(text) as box, ThreadPoolExecutor(1) as pool:
        running = pool.submit(box.run, "unshare", "-m", "--propagation", "private", "/bin/bash", "-c", script)
        process = int((tree / "there").read_text().splitlines()[0])
        container = Container(box.cgroup.path.name, box.cgroup.path, box.cgroup.id, pid=process)
        announced = bench.enforcer.enforce(container, rules_of(text))
        assert announced is bench.instance.bundle.parameters.layers_have_paths
        (tree / "go").write_text("go\n")
        done = running.result(60)
        assert done.err.count("Operation not permitted") == 2, done
        assert box.sh(f"cat {tree}/covered/secret").denied  # what the overlay did is not remembered of the file below
