"""The agent as a program: killed, restarted, upgraded, its policies changed; the kernel goes on enforcing."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead import abi
from bulkhead.kernel import libbpf
from bulkhead.kernel.instance import remove_instance
from bulkhead.node import cgroups
from tests.kernel.agent.node import Node, all_events, end, events, start_collector
from tests.kernel.enforcement.box import policy
from tools.demo.programs import Program

ID, UNAME = "/usr/bin/id >/dev/null", "/usr/bin/uname >/dev/null"
DENY_ID = policy("""
  exec:
    rules: [{name: no-id, action: Deny, paths: [/usr/bin/id]}]
""")
MEMORY_MIB = 90  # what an agent may take, LLVM not resident


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with one cgroup and one policy. Everything is taken away afterwards."""
    yield from make_node(tmp_path / "a")


@pytest.fixture
def other_node(tmp_path: Path) -> Iterator[Node]:
    """Another one on the same kernel."""
    yield from make_node(tmp_path / "b")


def make_node(directory: Path) -> Iterator[Node]:
    """Named after its directory."""
    cgroup = cgroups.create(cgroups.mount_point() / f"agent-test-{directory.name}").path
    cgroups.create(cgroup / "one")
    made = Node(directory, cgroup, Path(f"/sys/fs/bpf/agent-test-{directory.name}"))
    (made.policies / "id.yaml").write_text(DENY_ID)
    yield made
    remove_instance(made.pins)
    cgroups.remove(cgroup)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Program]:
    """Where violations go."""
    made = start_collector(tmp_path)
    yield made
    made.end()


def program_ids(pins: Path) -> dict[str, int]:
    """The kernel's ids of the pinned programs."""
    ids = {}
    for pin in (pins / "programs").iterdir():
        descriptor = libbpf.open_pinned(str(pin))
        ids[pin.name] = int.from_bytes(libbpf.object_info(descriptor)[4:8], "little")
        os.close(descriptor)  # it would keep the program
    return ids


def loaded_ids() -> set[int]:
    """The ids of all programs that the kernel holds."""
    listed = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, check=True).stdout
    return {each["id"] for each in json.loads(listed)}


def total(of: list[dict[str, object]]) -> int:
    """How many denied acts some violations tell of. A gap is a loss, and there must be none."""
    assert not [each for each in of if "gap" in each]
    assert len({each["id"] for each in of}) == len(of)
    counts = [each["count"] for each in of]
    return sum(count for count in counts if isinstance(count, int))


def expect_total(expected: int) -> None:
    """Wait until all of it has arrived, and see that it is no more."""
    deadline = time.monotonic() + 60
    while (found := total(all_events())) < expected:
        assert time.monotonic() < deadline, (found, expected)
    assert found == expected


@pytest.mark.usefixtures("collector")
def test_a_killed_agent_leaves_no_gap(node: Node, tmp_path: Path) -> None:
    """Denied while it is down, told when it is back, each once; programs are adopted, not loaded again."""
    (tmp_path / "secret").write_text("x")
    files = f"""
  files:
    rules: [{{name: no-secret, action: Deny, operations: [Read], paths: [{tmp_path}/secret]}}]
"""
    (node.policies / "secret.yaml").write_text(policy(files, "secret"))
    agent = node.start_agent()
    assert (node.run("one", ID).returncode, node.run("one", UNAME).returncode) == (126, 0)
    (first,) = events(1)
    before = program_ids(node.pins)
    agent.kill()
    for _ in range(5):
        assert node.run("one", ID).returncode == 126
    repeated = node.run("one", f"for n in {{1..200}}; do cat < {tmp_path}/secret; done")
    assert (repeated.stdout, repeated.stderr.count("Operation not permitted")) == ("", 200)
    agent = node.start_agent()
    expect_total(1 + 5 + 200)
    assert node.run("one", ID).returncode == 126
    assert end(agent) == 0
    expect_total(1 + 5 + 200 + 1)
    assert all_events()[0] == first
    assert "programs_adopted" in node.log.read_text()
    assert program_ids(node.pins) == before
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
    assert len(list((node.directory / "state/containers").iterdir())) == 1
    (node.policies / "uname.yaml").write_text("rubbish")
    agent.kill()
    node.start_agent().end()
    assert node.run("one", UNAME).returncode == 126, "a broken file keeps what it said over a restart"


@pytest.mark.usefixtures("collector")
def test_another_version_takes_over_while_a_workload_tries(node: Node) -> None:
    """Programs are replaced under a loop of denied acts: not one succeeds, the links decide throughout, no gap.

    The loop does not pause: the buffer would run over if nobody read it while the agent loads.
    """
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
    out, _ = trying.communicate(timeout=180)
    assert trying.returncode == 0
    assert int(out) > 10
    after = program_ids(node.pins)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert "programs_loaded" in node.log.read_text()
    assert node.run("one", ID).returncode == 126
    expect_total(int(out) + 1)
    assert end(agent) == 0


def test_maps_of_another_boundary_are_left_alone(node: Node) -> None:
    """An agent that has other maps than are pinned says so and starts nothing; what is enforced goes on."""
    node.start_agent().kill()
    pretend_older(node.pins, abi.ABI_VERSION - 1)
    (node.pins / "maps/layers").unlink()
    before = program_ids(node.pins)
    with pytest.raises(RuntimeError, match=f"of boundary version {abi.ABI_VERSION - 1}, this is"):
        node.start_agent()
    assert program_ids(node.pins) == before
    assert node.run("one", ID).returncode == 126


def test_two_agents_keep_to_themselves(node: Node, other_node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """Each puts its policies on its own cgroups; a third one in the place of the first changes nothing."""
    (other_node.policies / "id.yaml").write_text(DENY_ID.replace("/usr/bin/id", "/usr/bin/uname"))
    agents = [node.start_agent(), other_node.start_agent()]
    verdicts = [each.run("one", act).returncode for each in (node, other_node) for act in (ID, UNAME)]
    assert verdicts == [126, 0, 0, 126]
    before = program_ids(node.pins)
    with pytest.raises(RuntimeError, match="in use"):
        node.start_agent()
    assert program_ids(node.pins) == before
    memory_mib = [resident_mib(agent.running.pid) for agent in agents]
    with capsys.disabled():
        print(f"\nagent's memory at rest: {memory_mib[0]:.1f} MiB")
    assert max(memory_mib) < MEMORY_MIB
    assert [end(agent) for agent in agents] == [0, 0]
    assert node.run("one", ID).returncode == 126
    ours = set(program_ids(node.pins).values())
    assert ours <= loaded_ids()
    remove_instance(node.pins)
    assert not node.pins.exists()
    deadline = time.monotonic() + 30  # the kernel frees what is unpinned a moment later
    while ours & loaded_ids() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not ours & loaded_ids()
    assert [each.run("one", ID).returncode for each in (node, other_node)] == [0, 0]
    assert other_node.run("one", UNAME).returncode == 126


def resident_mib(pid: int) -> float:
    """A process's resident memory."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def pretend_older(pins: Path, boundary: int = abi.ABI_VERSION) -> None:
    """Let the maps say that other programs were loaded, of that boundary."""
    maps = libbpf.open_pinned(str(pins / "maps/instances"))
    raw = libbpf.lookup(maps, bytes(4), 48)
    assert raw is not None
    instance = abi.Instance.from_buffer_copy(raw)
    instance.bundle[0] ^= 255
    instance.abi_version = boundary
    assert libbpf.update(maps, bytes(4), bytes(instance)) == 0
