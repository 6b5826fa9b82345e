"""The agent as a program: killed, restarted, upgraded, its policies changed; the kernel goes on enforcing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead import abi
from bulkhead.kernel import libbpf
from bulkhead.kernel.instance import remove_instance
from bulkhead.node import cgroups
from tests.kernel.agent.node import Node
from tests.kernel.enforcement.box import policy

ID, UNAME = "/usr/bin/id >/dev/null", "/usr/bin/uname >/dev/null"
DENY_ID = policy("""
  exec:
    rules: [{name: no-id, action: Deny, paths: [/usr/bin/id]}]
""")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with a collector, one cgroup and one policy. Everything is taken away afterwards."""
    cgroup = cgroups.create(cgroups.mount_point() / "agent-test").path
    cgroups.create(cgroup / "one")
    pins = Path("/sys/fs/bpf/agent-test")
    made = Node(tmp_path, cgroup, pins)
    (made.policies / "id.yaml").write_text(DENY_ID)
    yield made
    made.collector.end()
    remove_instance(pins)
    cgroups.remove(cgroup)


def program_ids(pins: Path) -> dict[str, bytes]:
    """The kernel's ids of the pinned programs."""
    return {pin.name: libbpf.object_info(libbpf.open_pinned(str(pin)))[4:8] for pin in (pins / "programs").iterdir()}


def test_a_killed_agent_leaves_no_gap(node: Node) -> None:
    """Denied while it is down, told when it is back, each once; programs are adopted, not loaded again."""
    agent = node.start_agent()
    assert (node.run("one", ID).returncode, node.run("one", UNAME).returncode) == (126, 0)
    (first,) = node.events(1)
    before = program_ids(node.pins)
    agent.kill()
    for _ in range(5):
        assert node.run("one", ID).returncode == 126
    agent = node.start_agent()
    events = node.events(6)
    assert "programs_adopted" in node.log.read_text()
    assert program_ids(node.pins) == before
    assert events[0] == first
    assert len({event["id"] for event in events}) == 6
    assert sum(event["count"] for event in events) == 6
    agent.end()
    assert agent.running.returncode == 0
    assert node.run("one", ID).returncode == 126


def test_policies_are_followed(node: Node) -> None:
    """Changed: a new verdict. Broken: refused, and what it said stays. Removed: allowed. New cgroups are covered."""
    agent = node.start_agent()
    (node.policies / "uname.yaml").write_text(
        DENY_ID.replace("name: p", "name: q").replace("/usr/bin/id", "/usr/bin/uname")
    )
    node.until("one", UNAME, 126)
    assert node.run("one", ID).returncode == 126
    cgroups.create(node.cgroup / "two")
    node.until("two", ID, 126)
    (node.policies / "id.yaml").write_text(DENY_ID.replace("Deny", "Denny"))
    node.until_logged("policy_refused")
    assert node.run("one", ID).returncode == 126
    (node.policies / "id.yaml").unlink()
    node.until("one", ID, 0)
    assert node.run("one", UNAME).returncode == 126
    cgroups.remove(node.cgroup / "two")
    node.until_logged("container_released")
    agent.end()
    assert len(list((node.directory / "state/containers").iterdir())) == 1


def test_another_version_takes_over_while_a_workload_tries(node: Node) -> None:
    """Programs are replaced under a loop of denied acts: not one succeeds, and the links decide throughout."""
    node.start_agent().kill()
    before = program_ids(node.pins)
    loop = "n=0; while [ ! -e stop ]; do /usr/bin/id && exit 1; n=$((n+1)); done 2>/dev/null; echo $n"
    join = f"cd {node.directory}; echo $$ > {node.cgroup}/one/cgroup.procs; {loop}"
    trying = subprocess.Popen(["bash", "-c", join], stdout=subprocess.PIPE, text=True)
    pretend_older(node.pins)
    try:
        agent = node.start_agent()
    finally:
        (node.directory / "stop").touch()
    out, _ = trying.communicate(timeout=60)
    assert trying.returncode == 0
    assert int(out) > 10
    after = program_ids(node.pins)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert node.run("one", ID).returncode == 126
    assert "programs_loaded" in node.log.read_text()
    agent.end()


def pretend_older(pins: Path) -> None:
    """Let the maps say that other programs were loaded."""
    maps = libbpf.open_pinned(str(pins / "maps/instances"))
    raw = libbpf.lookup(maps, bytes(4), 48)
    assert raw is not None
    instance = abi.Instance.from_buffer_copy(raw)
    instance.bundle[0] ^= 255
    assert libbpf.update(maps, bytes(4), bytes(instance)) == 0
