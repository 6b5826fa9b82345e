"""`notInImage`: what was not in the container's image, however it came to be there."""

from __future__ import annotations

import os
import select
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkhead.node.container import Container
from tests.kernel.enforcement.box import COMMAND_S, Bench, Box, policy, rules_of

NOTHING = policy("  exec: {default: Allow}")
DRIFT = policy("""
  exec:
    rules: [{name: drift, action: Deny, notInImage: true}]
""")
BUSYBOX = "/bin/busybox"  # static, and any name that begins so is it


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Programs that are there before anything is started."""
    for name in ("busybox-old", "busybox-other"):
        shutil.copy(BUSYBOX, tmp_path / name)
    return tmp_path


# What a workload does to get a program of its own to run as {}/busybox-new; by busybox of the image.
WAYS = {
    "copied": "cp {}/busybox-old {}/busybox-new",
    "dated back": "cp {}/busybox-old {}/busybox-new; touch -d 2001-01-01 {}/busybox-new",
    "renamed": "cp {}/busybox-old {}/x; mv {}/x {}/busybox-new",
    "linked": "cp {}/busybox-old {}/x; ln {}/x {}/busybox-new",
    "over one of the image": "cp {}/busybox-old {}/x; mv {}/x {}/busybox-other; ln -s busybox-other {}/busybox-new",
    "written into one of the image": "echo >> {}/busybox-other; ln -s busybox-other {}/busybox-new",
}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_written_since_does_not_run(bench: Bench, programs: Path, way: str) -> None:
    """Without the rule each of them runs; under it what was there goes on running, and scripts may be read."""
    script = WAYS[way].replace("{}", str(programs))
    run = f"{programs}/busybox-new echo ran"
    with bench.box(DRIFT) as box:
        assert box.sh(script).status == 0
        assert box.sh(run).status == 126
        (violation,) = box.violations()
        assert (violation["rule"], violation["operation"]) == ("drift", "Exec")
        assert box.sh(f"{programs}/busybox-old echo ran; /usr/bin/uname").out == "ran\nLinux\n"
        assert box.violations() == []
    with bench.box(NOTHING) as box:
        assert box.sh(run).out == "ran\n"


def test_scripts_that_were_written_since_do_not_run(bench: Bench, tmp_path: Path) -> None:
    """As programs; what an interpreter reads for itself is not executed."""
    with bench.box(DRIFT) as box:
        assert box.sh(f"printf '#!/bin/sh\\necho ran\\n' > {tmp_path}/s; chmod +x {tmp_path}/s").status == 0
        assert box.run(str(tmp_path / "s")).status == 126
        assert box.sh(f"sh {tmp_path}/s").out == "ran\n"


def test_a_file_that_was_opened_for_writing_was_written(bench: Bench, programs: Path) -> None:
    """Whatever its times say: a mapping, or a clock set back, may stamp none."""
    code = "import os, sys; os.open(sys.argv[1], os.O_RDWR)"
    opened = programs / "busybox-other"
    before = opened.stat().st_ctime_ns
    with bench.box(DRIFT) as box:
        assert box.run(str(opened), "echo", "ran").out == "ran\n"
        assert box.run("/usr/bin/python3", "-S", "-c", code, str(opened)).status == 0
        assert box.run(str(opened), "echo", "ran").status == 126
        assert box.run(str(programs / "busybox-old"), "echo", "ran").status == 0
    assert opened.stat().st_ctime_ns == before


def test_a_file_system_mounted_since_holds_nothing_of_the_image(bench: Bench, programs: Path) -> None:
    """Whatever its files say of their times."""
    mounted = programs / "m"
    script = f"mount -t tmpfs none {mounted} && cp {programs}/busybox-old {mounted} && {mounted}/busybox-old echo ran"
    mounted.mkdir()
    with bench.box(NOTHING) as box:
        assert box.run("unshare", "-m", "sh", "-c", script).out == "ran\n"
    with bench.box(DRIFT) as box:
        done = box.run("unshare", "-m", "sh", "-c", script)
        assert (done.status, done.out) == (126, "")
        assert [each["rule"] for each in box.violations()] == ["drift"]


def test_a_rule_matches_where_all_that_it_names_holds(bench: Bench, programs: Path) -> None:
    """paths and notInImage together: neither alone is enough."""
    (programs / "in").mkdir()
    shutil.copy(BUSYBOX, programs / "in/busybox-old")
    rule = DRIFT.replace("notInImage: true", f'notInImage: true, paths: ["{programs}/in/**"]')
    with bench.box(rule) as box:
        assert box.sh(f"cp {BUSYBOX} {programs}/in/busybox-new; cp {BUSYBOX} {programs}/busybox-new").status == 0
        expected = {"in/busybox-new": 126, "busybox-new": 0, "in/busybox-old": 0, "busybox-old": 0}
        assert {name: box.run(str(programs / name), "true").status for name in expected} == expected


def test_a_package_manager_that_is_allowed_installs_what_runs(bench: Bench, tmp_path: Path) -> None:
    """Written files run where a rule allows them: an exception from a default, not from a rule."""
    text = policy(f"""
  exec:
    default: Deny
    rules:
    - {{name: image, action: Allow, paths: ["/usr/**"]}}
    - {{name: installed, action: Allow, notInImage: true, paths: ["{tmp_path}/bin/*"]}}
""")
    (tmp_path / "bin").mkdir()
    with bench.box(text) as box:
        assert box.sh(f"cp {BUSYBOX} {tmp_path}/bin/busybox-new; cp {BUSYBOX} {tmp_path}/busybox-new").status == 0
        assert box.run(str(tmp_path / "bin/busybox-new"), "true").status == 0
        assert box.run(str(tmp_path / "busybox-new"), "true").status == 126


def test_what_the_host_writes_into_it_was_not_in_the_image(bench: Bench, programs: Path) -> None:
    """Nobody under a policy opened it."""
    with bench.box(DRIFT) as box:
        shutil.copy(BUSYBOX, programs / "busybox-new")
        assert box.run(str(programs / "busybox-new"), "true").status == 126
        assert box.run(str(programs / "busybox-old"), "true").status == 0


class Rooted:
    """A container with an overlay of its own for a root, and a shell in it that does what it is told."""

    def __init__(self, box: Box, where: Path) -> None:
        self.box, self._where = box, where

    def sh(self, script: str) -> str:
        """What the script prints, and its exit status."""
        answer = _open_to_read(self._where / "there")
        go = os.open(self._where / "go", os.O_RDWR)  # stays open until it was read
        try:
            os.write(go, script.encode() + b"\n")
            return _read_whole(answer)
        finally:
            os.close(go)


START = """
mount -t tmpfs none {0}/volatile && mkdir {0}/volatile/up {0}/volatile/work &&
mount -t overlay overlay -o lowerdir={0}/lower,upperdir={0}/volatile/up,workdir={0}/volatile/work {0}/root &&
mount -t tmpfs none {0}/root/vol && mount --bind {0}/pipes {0}/root/pipes && mount -t proc none {0}/root/proc &&
cd {0}/root && pivot_root . old && exec /bin/busybox sh /start
"""
SERVE = """
export PATH=/bin
busybox umount -l /old
echo $$ > /pipes/there
while :; do
    read -r line < /pipes/go || continue  # whoever asked last may still be closing it
    ( eval "$line" ) > /tmp/out 2>&1; echo "= $?" >> /tmp/out; busybox cat /tmp/out > /pipes/there
done
"""


@contextmanager
def rooted(bench: Bench, where: Path, text: str) -> Iterator[Rooted]:
    """The container, under a policy from before its first command."""
    for name in ("lower/bin", "lower/old", "lower/vol", "lower/pipes", "lower/proc", "lower/tmp", "root", "volatile"):
        (where / name).mkdir(parents=True)
    for name in ("busybox", "busybox-other", "busybox-third"):
        shutil.copy(BUSYBOX, where / "lower/bin" / name)
    (where / "lower/start").write_text(SERVE)
    (where / "pipes").mkdir()
    for name in ("go", "there"):
        os.mkfifo(where / "pipes" / name)
    with bench.box() as box, ThreadPoolExecutor(1) as pool:
        command = ["unshare", "-m", "--propagation", "private", "/bin/sh", "-ec", START.format(where)]
        answer = _open_to_read(where / "pipes/there")
        running = pool.submit(box.run, *command)
        pid = int(_read_whole(answer))
        bench.enforcer.release(box.cgroup.id)
        container = Container(box.cgroup.path.name, box.cgroup.path, box.cgroup.id, pid=pid)
        bench.enforcer.enforce(container, rules_of(text))
        try:
            yield Rooted(box, where / "pipes")
        finally:
            os.kill(pid, 9)
            running.result(COMMAND_S)


def _open_to_read(pipe: Path) -> int:
    return os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)


def _read_whole(pipe: int) -> str:
    """What the next writer writes, until it closes."""
    text = b""
    with os.fdopen(pipe, "rb", buffering=0) as reader:
        while True:
            readable, _, _ = select.select([reader], [], [], COMMAND_S)
            assert readable, "the container does not answer"
            part = reader.read(4096)
            if not part:
                return text.decode()
            text += part


# What is written is called busybox-new, or busybox-other where it was in the image.
_WRITE, _RUN = "echo >> /bin/busybox-other", "echo ran"
LAYERED = {
    "copied": f"busybox cp /bin/busybox /bin/busybox-new; /bin/busybox-new {_RUN}",
    "written into, which copies it up": f"{_WRITE}; /bin/busybox-other {_RUN}",
    "dated back": f"{_WRITE}; busybox touch -d 2001-01-01 /bin/busybox-other; /bin/busybox-other {_RUN}",
    "linked in the upper layer": f"busybox ln /bin/busybox-new /bin/busybox-linked; /bin/busybox-linked {_RUN}",
    "renamed": f"busybox mv /bin/busybox-other /bin/busybox-moved; /bin/busybox-moved {_RUN}",
    "on a volume": f"busybox cp /bin/busybox /vol/busybox-new; /vol/busybox-new {_RUN}",
}


def test_the_image_is_what_the_lower_layers_hold(bench: Bench, tmp_path: Path) -> None:
    """Each way of getting something else to run is denied, and what the image holds goes on running."""
    with rooted(bench, tmp_path, DRIFT) as container:
        for way, script in LAYERED.items():
            assert container.sh(script).endswith("= 126\n"), way
        assert {each["rule"] for each in container.box.violations()} == {"drift"}
        assert container.sh("/bin/busybox-third echo ran") == "ran\n= 0\n"
        assert container.sh("busybox cat /bin/busybox-third > /tmp/copy; /bin/busybox-third echo ran") == "ran\n= 0\n"
        assert container.box.violations() == []


def test_without_the_rule_all_of_it_runs(bench: Bench, tmp_path: Path) -> None:
    """The control."""
    with rooted(bench, tmp_path, NOTHING) as container:
        for way, script in LAYERED.items():
            assert container.sh(script).endswith("= 0\n"), way
        assert container.box.violations() == []
