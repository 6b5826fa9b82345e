"""The container is its cgroup and all below it; nothing is lost count of."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bulkhead.node.container import Container
from tests.kernel.enforcement.box import Bench, policy, rules_of

DENY_ID = policy("""
  exec:
    rules: [{name: r, action: Deny, paths: ["/usr/bin/id"]}]
""")
DENY_WHOAMI = DENY_ID.replace("/usr/bin/id", "/usr/bin/whoami")


def test_child_cgroups_are_covered_however_old(bench: Bench) -> None:
    """One made before the policy, one after, one two levels down; a sibling outside is not."""
    with bench.box(policy("  exec: {default: Allow}")) as box:
        before = box.cgroup.path / "before"
        before.mkdir()
        box.apply(DENY_ID)
        after = box.cgroup.path / "after/deeper"
        after.mkdir(parents=True)
        for cgroup in (None, before, after.parent, after):
            assert box.run("/usr/bin/id", cgroup=cgroup).status == 126
            assert box.run("/usr/bin/uname", cgroup=cgroup).status == 0
    assert subprocess.run(["/usr/bin/id"], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_children_of_the_workload_are_covered(bench: Bench) -> None:
    """Across fork, exec, and a shell's background job."""
    with bench.box(DENY_ID) as box:
        done = box.sh("sh -c 'sh -c \"/usr/bin/id; echo \\$?\"' & wait")
        assert done.out == "126\n"


def test_a_release_ends_enforcement(bench: Bench) -> None:
    """Afterwards nothing is denied in the cgroup."""
    with bench.box(DENY_ID) as box:
        assert box.run("/usr/bin/id").status == 126
        bench.enforcer.release(box.cgroup.id)
        assert box.run("/usr/bin/id").status == 0


def test_two_policies_are_united(bench: Bench) -> None:
    """Both hold; the event names the policy that decided."""
    with bench.box(DENY_ID.replace("name: p", "name: one"), DENY_WHOAMI.replace("name: p", "name: two")) as box:
        assert box.run("/usr/bin/id").status == 126
        assert box.run("/usr/bin/whoami").status == 126
        assert [each["policy"] for each in box.violations()] == ["one", "two"]


def test_every_violation_is_counted(bench: Bench, tmp_path: Path) -> None:
    """Thousands of repeats of one act: the counts of the violations and gaps add up to exactly what was tried."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    text = policy(f"""
  files:
    rules: [{{name: r, action: Deny, operations: [Read], paths: ["{secret}"]}}]
""")
    tries = 3000
    loop = f"""
import os
for _ in range({tries}):
    try: os.close(os.open({str(secret)!r}, os.O_RDONLY))
    except PermissionError: pass
"""
    with bench.box(text) as box:
        assert box.run("python3", "-S", "-c", loop).status == 0
        told = box.violations()
    assert sum(each["count"] for each in told) == tries
    assert len(told) < tries / 10


def test_a_new_mount_is_judged_strictly_until_it_is_known(bench: Bench, tmp_path: Path) -> None:
    """A file system mounted by the workload after the policy: Deny rules could match, so it is denied and said so."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    text = policy(f"""
  files:
    rules: [{{name: r, action: Deny, operations: [Read], paths: ["{secret}"]}}]
""")
    with bench.box(text) as box:
        script = f"unshare -m sh -c 'mount -t tmpfs none {tmp_path} && echo y > {tmp_path}/other; cat {tmp_path}/other'"
        assert "Operation not permitted" in box.sh(script).err
        assert "r" in {each["rule"] for each in box.violations()}
    assert secret.exists()


@pytest.mark.parametrize("kind", ["debugfs", "tracefs", "securityfs"])
def test_what_the_kernel_mounted_as_well_is_no_exception(bench: Bench, tmp_path: Path, kind: str) -> None:
    """Of these the kernel has a mount of its own, as of what nobody can name; the container saw none before."""
    (tmp_path / "covered").mkdir()
    hidden = "umount -R /sys && mount -t sysfs none /sys && echo && exec sleep 1000"
    text = policy(f"""
  files:
    rules: [{{name: r, action: Deny, operations: [Read], paths: ["{tmp_path}/covered/**"]}}]
""")
    script = f"mount -t {kind} none {tmp_path}/covered && ls {tmp_path}/covered"
    with bench.box(DENY_ID) as box, box.start("unshare", "-m", "sh", "-c", hidden) as container:
        assert container.stdout
        container.stdout.readline()
        enter = ("nsenter", "--mount", f"--target={container.pid}", "unshare", "-m", "sh", "-c", script)
        assert box.run(*enter).status == 0
        known = Container(box.cgroup.path.name, box.cgroup.path, box.cgroup.id, pid=container.pid)
        assert bench.enforcer.enforce(known, rules_of(text))
        assert "Operation not permitted" in box.run(*enter).err
        assert {(each["rule"], each["unresolved"]) for each in box.violations()} == {("r", True)}
        container.kill()


def test_a_new_root_uncovers_nothing(bench: Bench, tmp_path: Path) -> None:
    """A process makes a covered directory its root, and the agent then looks at the mounts through that process."""
    covered = tmp_path / "covered"
    covered.mkdir()
    (covered / "secret").write_text("x")
    (covered / "cat").write_bytes(Path("/bin/busybox").read_bytes())
    (covered / "cat").chmod(0o755)
    for fifo in ("go", "there"):
        os.mkfifo(tmp_path / fifo)
    text = policy(f"""
  files:
    rules: [{{name: r, action: Deny, operations: [Read], paths: ["{covered}/secret"]}}]
""")
    script = f"""
exec 3<>{tmp_path}/go 4>{tmp_path}/there
mount --bind {covered} {covered} && cd {covered} && mkdir old && pivot_root . old && echo $$ >&4
exec 4>&-; read -u 3 go; exec /cat cat /secret
"""
    with bench.box(text) as box, ThreadPoolExecutor(1) as pool:
        running = pool.submit(box.run, "unshare", "-m", "--propagation", "private", "/bin/bash", "-c", script)
        process = int((tmp_path / "there").read_text().splitlines()[0])
        container = Container(box.cgroup.path.name, box.cgroup.path, box.cgroup.id, pid=process)
        assert bench.enforcer.is_stale(container)
        assert bench.enforcer.enforce(container, rules_of(text))
        (tmp_path / "go").write_text("go\n")
        done = running.result(60)
        assert done.denied, done
        assert [each["rule"] for each in box.violations()] == ["r"]
