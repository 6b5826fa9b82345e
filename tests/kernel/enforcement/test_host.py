"""The node's own processes under a policy: what holds for them, what they leave behind, what they may."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bulkhead.node import cgroups
from tests.kernel.enforcement.box import Bench, policy
from tests.kernel.enforcement.test_moves import (
    ALLOWED,
    CLONE_INTO,
    DENIED,
    DENY_ID,
    DENY_WHOAMI,
    holds,
    shell_in,
)

DENY_READ = policy("""
  files:
    rules: [{name: r, action: Deny, operations: [Read], paths: ["/run/forbidden/**"]}]
""")


def test_a_cgroup_of_the_node_and_those_below_it(bench: Bench, elsewhere: Path) -> None:
    """One made before, one made since; not the neighbour. The violation has the cgroup, and no pod."""
    with bench.box(DENY_ID, of_node=True) as box, shell_in(elsewhere) as neighbour:
        (box.cgroup.path / "child/grandchild").mkdir(parents=True)
        for place in (box.cgroup.path, box.cgroup.path / "child/grandchild"):
            with shell_in(place) as shell:
                holds(shell)
        assert neighbour.status("/usr/bin/id") == ALLOWED
        (first, *_) = box.violations()
        assert (first["cgroup"], first["node"], first["pod"], first["rule"]) == (str(box.cgroup.path), "guest", "", "r")


def test_what_is_moved_into_a_container_is_the_containers(bench: Bench, elsewhere: Path) -> None:
    """As a runtime does with what it starts; so is what is made there at once. Elsewhere there is no policy."""
    with (
        bench.box(DENY_ID, of_node=True) as box,
        bench.box(DENY_WHOAMI) as container,
        shell_in(box.cgroup.path) as runtime,
        shell_in(box.cgroup.path) as service,
    ):
        runtime.move(container.cgroup.path)
        assert [runtime.status(f"/usr/bin/{name}") for name in ("id", "whoami")] == [ALLOWED, DENIED]
        service.move(elsewhere)
        assert [service.status(f"/usr/bin/{name}") for name in ("id", "whoami")] == [ALLOWED, ALLOWED]
        done = box.run("python3", "-S", "-c", CLONE_INTO, str(elsewhere))
        assert done.out.split() == [f"0::/{elsewhere.name}", str(ALLOWED)], done


def test_what_is_moved_out_of_a_container_stays_the_containers(bench: Bench) -> None:
    """Also among processes of the node under a policy of their own."""
    with bench.box(DENY_ID) as box, bench.box(DENY_WHOAMI, of_node=True) as node, shell_in(box.cgroup.path) as shell:
        shell.move(node.cgroup.path)
        holds(shell)
        assert shell.status("/usr/bin/whoami") == ALLOWED


@pytest.mark.parametrize("of_node", [True, False])
def test_the_node_is_administered_by_its_own(bench: Bench, elsewhere: Path, of_node: bool) -> None:
    """They move processes, and look at those of containers whose programs are told apart; a container does not."""
    tells_apart = policy("""
  files:
    rules: [{name: r, action: Deny, operations: [Read], paths: [/etc/hostname], by: ["/usr/bin/tac"]}]
""")
    with (
        bench.box(DENY_ID, of_node=of_node) as box,
        bench.box(tells_apart) as other,
        shell_in(other.cgroup.path) as shell,
    ):
        move = box.sh(f"echo $$ > {elsewhere}/cgroup.procs")
        assert (move.status == 0) is of_node, move
        memory = box.run("head", "-c0", f"/proc/{shell.pid}/mem")
        assert (memory.status == 0) is of_node, memory


@pytest.mark.parametrize("of_node", [True, False])
def test_file_systems_that_come_later(bench: Bench, tmp_path: Path, of_node: bool) -> None:
    """One that no rule speaks of is free to the node's own, and judged strictly in a container."""
    with bench.box(DENY_READ, of_node=of_node) as box:
        subprocess.run(["mount", "-t", "tmpfs", "none", str(tmp_path)], check=True)
        try:
            (tmp_path / "file").write_text("content")
            read = box.run("cat", str(tmp_path / "file"))
            assert (read.out == "content") is of_node, read
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_file_system_that_a_rule_speaks_of(bench: Bench) -> None:
    """It is known once the node's mounts have been looked at again, which changes nothing where none does."""
    place = Path("/run/forbidden")
    place.mkdir()
    with bench.box(DENY_READ, of_node=True) as box:
        assert not box.apply(DENY_READ)
        subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)
        try:
            (place / "file").write_text("content")
            assert box.apply(DENY_READ)
            assert box.run("cat", str(place / "file")).denied
        finally:
            subprocess.run(["umount", str(place)], check=True)
            place.rmdir()


def test_one_cgroup_alone_and_what_is_spared(bench: Bench) -> None:
    """Pods' cgroups that were made below one of the node's own inherited its policy, until they were found."""
    with bench.box(DENY_ID, of_node=True) as box:
        pods = cgroups.create(box.cgroup.path / "kubepods")
        made = cgroups.create(pods.path / "pod")
        with shell_in(made.path) as container, shell_in(box.cgroup.path) as service:
            assert container.status("/usr/bin/id") == DENIED
            box.apply(DENY_ID, alone=True)
            bench.enforcer.spare([pods.path])
            assert container.status("/usr/bin/id") == ALLOWED
            holds(service)
            box.apply(DENY_ID)
            holds(container)
