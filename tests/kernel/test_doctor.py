"""`bulkhead doctor` on the kernel of the guest, in the form in which the bench boots it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from bulkhead.cli import doctor, main
from bulkhead.kernel.features import detect

LSM_LIST = Path("/sys/kernel/security/lsm")


def has_bpf_lsm() -> bool:
    return "bpf" in LSM_LIST.read_text().strip().split(",")


def bpf_objects() -> set[tuple[str, int]]:
    """Programs and maps that the kernel holds, by the ids that bpftool prints; none is given out twice."""
    found = set()
    for kind in ("prog", "map"):
        listed = subprocess.run(["bpftool", "-j", kind, "show"], capture_output=True, check=True).stdout
        found |= {(kind, each["id"]) for each in json.loads(listed)}
    return found


def test_verdict_is_right_for_this_boot(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is enforceable, with bpf in lsm= on hooks and without it on functions, and the exit status says so."""
    status = main(["doctor", "-o", "json"])
    report = json.loads(capsys.readouterr().out)
    enforceable = {section: answer["enforceable"] for section, answer in report["sections"].items()}
    assert status == 0
    assert report["can_enforce"]
    assert report["bpf_lsm"] is has_bpf_lsm()
    assert set(enforceable.values()) == {True}


def test_only_what_differs_between_our_kernels_is_missing() -> None:
    """Whatever is needed is there; what BPF LSM brings is not needed without it. Cgroup storage comes with 6.2."""
    features = {feature.name: feature for feature in detect((doctor.cgroup_hierarchy(),)).features}
    assert {feature.name for feature in features.values() if feature.needed and not feature.ok} == set()
    if not has_bpf_lsm():
        missing = {feature.name for feature in features.values() if not feature.ok} - {"cgroup storage"}
        assert "BPF LSM active" in missing
        assert missing <= {"BPF LSM active", "inode storage"}  # 6.12 refuses the map as well, 6.1 does not
        assert [feature.name for feature in features.values() if feature.remedy] == ["BPF LSM active"]
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    assert features["cgroup storage"].ok is (release >= (6, 2))


def test_remedy_is_the_present_list_and_bpf() -> None:
    """What to put on the command line keeps the modules that are active now."""
    (active,) = [feature for feature in detect().features if feature.name == "BPF LSM active"]
    if has_bpf_lsm():
        assert active.remedy == ""
        return
    kept = [name for name in LSM_LIST.read_text().strip().split(",") if name not in {"capability", "ima", "evm"}]
    assert f"lsm={','.join([*kept, 'bpf'])} " in active.remedy


def test_works_without_securityfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the list of modules cannot be read, trying gives the same answer."""
    monkeypatch.setattr("bulkhead.kernel.facts.LSM_LIST", tmp_path / "none")
    (active,) = [feature for feature in detect().features if feature.name == "BPF LSM active"]
    assert active.ok is has_bpf_lsm()
    assert "securityfs is not mounted" in active.found


def test_nothing_stays_loaded() -> None:
    """No program and no map is left of the detection; those of others may go meanwhile."""
    detect()  # what the guest sets up lazily is there now
    before = bpf_objects()
    detect()
    deadline = time.monotonic() + 10  # the kernel frees what is closed a moment later
    while (left := bpf_objects() - before) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def test_process_without_privileges_is_told_so() -> None:
    """An ordinary user gets the reason and exit status 1, not a kernel blamed for it."""
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setuid(65534)
        features = {feature.name: feature for feature in detect().features}
        right = features["privileges"].ok is False and "also for root" not in features["LSM programs"].found
        os._exit(0 if right and features["LSM programs"].remedy == "run as root" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
