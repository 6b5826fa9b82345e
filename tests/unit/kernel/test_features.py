"""bulkhead.kernel.features: answers of kernels, seen or imagined, in; a report out. Trying is in tests/kernel."""

from __future__ import annotations

import errno
import gzip
import lzma
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from bulkhead.kernel import facts
from bulkhead.kernel.bpf_syscall import MapType
from bulkhead.kernel.facts import Facts, _chosen, _effective_capabilities, _mount_points, _unpacked, option_value
from bulkhead.kernel.features import CGROUP_V2, SECTIONS, Feature, Report, judge
from bulkhead.kernel.kernel_btf import has_busy_storage

ROOT = (1 << 41) - 1
MODULES = ("lockdown", "capability", "landlock", "yama", "apparmor", "bpf", "ima", "evm")
UNIFIED = Feature(CGROUP_V2, True, True, "/sys/fs/cgroup")

GOOD = Facts(
    release="6.12.1",
    capabilities=ROOT,
    btf=True,
    libbpf="1.1",
    bcc="0.26.0",
    lsm_load=0,
    lsm_attach=0,
    lsm_called=True,
    lsm_list=MODULES,
    lsm_configured="y",
    recursion_safe=True,
    function_called=True,
    preemption="voluntary",
    tracing=0,
    egress=0,
    connect=0,
    bpf_loop=0,
    maps=dict.fromkeys(MapType, 0),
    bpf_file_systems=("/sys/fs/bpf",),
    lockdown="none",
    unprivileged="2",
)


def report(**changes: object) -> Report:
    return judge(replace(GOOD, **changes), (UNIFIED,))  # type: ignore[arg-type]


def feature(of: Report, name: str) -> Feature:
    (found,) = [each for each in of.features if each.name == name]
    return found


def enforceable(of: Report) -> set[str]:
    return {section for section in SECTIONS if not of.missing(section)}


def test_kernel_that_can_everything_has_nothing_to_mend() -> None:
    """All features are there, all sections enforceable, and no remedy is offered."""
    good = report()
    assert good.can_enforce
    assert enforceable(good) == set(SECTIONS)
    assert [each for each in good.features if each.remedy or not each.ok] == []


def test_kernel_before_cgroup_storage_can_enforce() -> None:
    """6.1 has a hash in its place: told, not counted as missing."""
    old = report(maps={**GOOD.maps, MapType.CGRP_STORAGE: errno.EINVAL})
    assert old.can_enforce
    assert feature(old, "cgroup storage").ok is False
    assert "hash" in feature(old, "cgroup storage").found


WITHOUT_BPF: dict[str, object] = {  # 6.12, booted so
    "lsm_called": False,
    "lsm_list": tuple(name for name in MODULES if name != "bpf"),
    "maps": {**GOOD.maps, MapType.INODE_STORAGE: errno.EOPNOTSUPP},
}


def test_boot_without_bpf_is_mended_by_the_present_list_and_bpf() -> None:
    """The kernel loads and attaches but never calls: the remedy keeps the active modules and adds bpf."""
    inactive = report(**WITHOUT_BPF, function_called=False)
    assert not inactive.can_enforce
    assert enforceable(inactive) == {"egress"}
    assert "lsm=lockdown,landlock,yama,apparmor,bpf " in feature(inactive, "BPF LSM active").remedy
    assert [each.name for each in inactive.features if each.remedy] == ["BPF LSM active"]


@pytest.mark.parametrize("preemption", ["none", "voluntary"])
def test_boot_without_bpf_is_no_loss_where_programs_take_the_place_of_functions(preemption: str) -> None:
    """All sections are enforceable, and not by LSM hooks; that these cost less makes the remedy worth while."""
    inactive = report(**WITHOUT_BPF, preemption=preemption)
    assert inactive.can_enforce
    assert not inactive.bpf_lsm
    assert enforceable(inactive) == set(SECTIONS)
    assert [each.name for each in inactive.features if each.remedy] == ["BPF LSM active"]
    assert not feature(inactive, "BPF LSM active").needed


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"preemption": "full"}, "(full)"),
        ({"preemption": "lazy"}, "(lazy)"),
        ({"preemption": "unknown"}, "not known"),
        ({"functions_missing": ("security_file_open",)}, "missing: security_file_open"),
        ({"function_called": False}, "cannot take the place"),
        ({"function_called": None}, "cannot take the place"),
    ],
)
def test_functions_that_could_be_gone_round_are_refused(changes: dict[str, object], found: str) -> None:
    """Where a program on a function may be skipped or is never called, nothing but packets can be enforced, and why."""
    refused = report(**WITHOUT_BPF, **changes)
    assert not refused.can_enforce
    assert enforceable(refused) == {"egress"}
    assert found in feature(refused, "programs on functions").found
    assert report(**changes).can_enforce, "where BPF LSM is active it does not matter"
    assert report(**changes).bpf_lsm


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The root of a node whose kernel tells nothing of its configuration, looked at from a container."""
    monkeypatch.setattr(facts, "OWN_CONFIGURATION", tmp_path / "none")
    monkeypatch.setattr(facts, "ROOTS", (tmp_path / "nowhere", tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("version", "command_line", "configuration", "preemption"),
    [
        ("#1 SMP Debian 6.1.1-1", "", b"", "voluntary"),
        ("#1 SMP PREEMPT Debian 6.1.1-1", "", b"", "full"),
        ("#1 SMP PREEMPT_RT Debian 6.1.1-1", "", b"", "full"),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1", "", b"CONFIG_PREEMPT_VOLUNTARY=y", "voluntary"),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1", "", b"CONFIG_PREEMPT_LAZY=y", "lazy"),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1", "", b"CONFIG_PREEMPT=y", "full"),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1", "quiet preempt=full", b"CONFIG_PREEMPT_VOLUNTARY=y", "full"),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1", "preempt=none ro", b"CONFIG_PREEMPT=y", "none"),
        ("#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1", "", b"", "unknown"),
    ],
)
def test_preemption_is_read_from_what_can_be_read(
    version: str, command_line: str, configuration: bytes, preemption: str, node: Path
) -> None:
    """The version says whether it can differ, then the command line, then the configuration; else it is not known."""
    if configuration:
        (node / "boot").mkdir()
        (node / f"boot/config-{platform.release()}").write_bytes(configuration + b"\n")
    assert facts.read_preemption(version, command_line) == preemption


def test_preemption_that_the_kernel_shows_counts(node: Path) -> None:
    """What debugfs shows was perhaps chosen after boot, so it counts more than the command line."""
    shown = node / facts.CHOSEN_PREEMPTION
    shown.parent.mkdir(parents=True)
    shown.write_text("none voluntary (full)\n")
    assert facts.read_preemption("#1 SMP PREEMPT_DYNAMIC Debian", "preempt=none") == "full"


def test_inactive_module_is_found_without_the_list() -> None:
    """Where securityfs is not mounted, that the program was not called decides."""
    active = feature(report(lsm_called=False, lsm_list=None), "BPF LSM active")
    assert active.ok is False
    assert "securityfs" in active.found
    assert "lsm=" in active.remedy
    assert feature(report(lsm_called=True, lsm_list=None), "BPF LSM active").ok is True


def test_kernel_that_refuses_root_is_told_from_a_process_that_lacks_privileges() -> None:
    """EPERM blames the kernel only where the process has every capability."""
    refusing = feature(report(lsm_load=errno.EPERM, lsm_attach=None, lsm_called=None), "LSM programs")
    assert refusing.ok is False
    assert refusing.found.startswith("this kernel refuses LSM programs (EPERM) also for root")
    unprivileged = report(capabilities=0, lsm_load=errno.EPERM, egress=errno.EPERM)
    assert "also for root" not in feature(unprivileged, "LSM programs").found
    assert feature(unprivileged, "egress programs").remedy == "run as root"
    assert feature(unprivileged, "privileges").found == "this process lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN"


def test_single_capabilities_suffice() -> None:
    """CAP_SYS_ADMIN stands for all three, and the three need no CAP_SYS_ADMIN."""
    assert report(capabilities=1 << 21).can_enforce
    assert report(capabilities=1 << 39 | 1 << 38 | 1 << 12).can_enforce
    assert not report(capabilities=1 << 39 | 1 << 38).can_enforce


def test_kernel_built_without_bpf_lsm_is_named_so() -> None:
    """Where BTF is there but the hook is not, the configuration is what is missing."""
    lacking = feature(report(lsm_load=None, lsm_attach=None, lsm_called=None, lsm_configured="n"), "LSM programs")
    assert lacking.ok is False
    assert lacking.found == "this kernel has no BPF LSM (CONFIG_BPF_LSM=n)"


def test_what_could_not_be_tried_is_unknown() -> None:
    """Without libbpf no hook can be looked up: the programs are unknown, libbpf is missing, nothing is enforceable."""
    blind = report(libbpf="", lsm_load=None, lsm_attach=None, lsm_called=None, tracing=None)
    assert feature(blind, "libbpf").ok is False
    assert feature(blind, "LSM programs").ok is None
    assert feature(blind, "tracing programs").ok is None
    assert enforceable(blind) == set()


@pytest.mark.parametrize(
    ("changes", "name", "sections"),
    [
        ({"btf": False}, "kernel BTF", set()),
        ({"recursion_safe": False}, "LSM recursion", {"egress"}),
        ({"hooks_missing": ("file_open",)}, "LSM hooks", {"egress"}),
        ({"lsm_attach": 524, "lsm_called": None}, "LSM attachment", {"egress"}),
        ({"egress": errno.EINVAL}, "egress programs", {"exec", "files", "sockets", "capabilities", "operations"}),
        ({"connect": errno.EINVAL}, "connect programs", {"exec", "files", "sockets", "capabilities", "operations"}),
        ({"bpf_loop": errno.EINVAL}, "bpf_loop", set()),
        ({"tracing": errno.EPERM}, "tracing programs", set()),
    ],
)
def test_missing_feature_costs_the_sections_that_need_it(
    changes: dict[str, object], name: str, sections: set[str]
) -> None:
    """Each needed feature is named and its sections, no others, are not enforceable."""
    lacking = report(**changes)
    assert feature(lacking, name).ok is False
    assert feature(lacking, name).remedy
    assert enforceable(lacking) == sections
    assert not lacking.can_enforce


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"bcc": ""}, "bcc"),
        ({"bpf_file_systems": ()}, "bpf file system"),
        ({"lockdown": "confidentiality"}, "lockdown"),
        ({"unprivileged": "0"}, "unprivileged bpf(2)"),
    ],
)
def test_optional_feature_is_told_with_a_remedy(changes: dict[str, object], name: str) -> None:
    """What is worth mending does not stop enforcement."""
    lacking = report(**changes)
    assert lacking.can_enforce
    assert feature(lacking, name).ok is False
    assert feature(lacking, name).remedy


def test_node_without_cgroup_v2_can_enforce_nothing() -> None:
    """What the caller found of the node counts like what the kernel answered."""
    lacking = judge(GOOD, (replace(UNIFIED, ok=False),))
    assert enforceable(lacking) == set()
    assert not lacking.can_enforce


def test_answers_are_read_from_the_kernels_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Effective capabilities, mount points by type, and the word in brackets."""
    assert _effective_capabilities("Name:\tx\nCapPrm:\tff\nCapEff:\t0000000000200000\n") == 1 << 21
    table = "bpf /sys/fs/bpf bpf rw 0 0\ntmpfs /bpf tmpfs rw 0 0\n"
    assert _mount_points("bpf", table) == ("/sys/fs/bpf",)
    path = tmp_path_factory.mktemp("lockdown") / "lockdown"
    path.write_text("none [integrity] confidentiality\n")
    assert _chosen(path) == "integrity"
    assert _chosen(path.with_name("missing")) is None


def test_configuration_is_read_however_it_is_stored() -> None:
    """Plain, gzip and xz give the same; what is none of these is unknown, not an error."""
    text = b"# CONFIG_X is not set\nCONFIG_BPF_LSM=y\nCONFIG_BPF_LSM_MORE=m\n"
    assert [_unpacked(each) for each in (text, gzip.compress(text), lzma.compress(text))] == [text] * 3
    assert _unpacked(b"\x28\xb5\x2f\xfd") is None
    assert option_value(text, "CONFIG_BPF_LSM") == "y"
    assert option_value(text, "CONFIG_X") == "n"


@pytest.mark.parametrize(
    ("preemption", "busy", "ok"),
    [
        ("full", True, False),
        ("lazy", True, False),
        ("unknown", True, None),
        ("voluntary", True, True),
        ("none", True, True),
        ("full", False, True),
    ],
)
def test_lookups_that_may_find_nothing_are_told(preemption: str, busy: bool, ok: bool | None) -> None:
    """Where tasks are preempted within one. Nothing is refused for that; the remedy is on the command line."""
    found = report(preemption=preemption, busy_storage=busy)
    told = feature(found, "storage look-ups")
    assert (told.ok, found.can_enforce) == (ok, True)
    assert ("preempt=voluntary" in told.remedy) is (ok is False)


def test_the_counter_of_lookups_is_found_in_types() -> None:
    """6.1 has it, 6.12 has it and a helper for LSM programs without, 7.2 has none."""
    counter, helper = b"\0bpf_task_storage_busy\0", b"\0bpf_task_storage_get_recur\0"
    assert has_busy_storage(b"a" + counter + b"b")
    assert not has_busy_storage(counter + helper)
    assert not has_busy_storage(b"\0bpf_task_storage_get\0")
