"""bulkhead.cli.doctor: showing a report, and the exit status."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from bulkhead.cli import doctor
from bulkhead.errors import NotEnforceable
from bulkhead.kernel.features import Feature, Report

GOOD = Report("6.12.1", (Feature("LSM programs", True, True, "can be loaded"), Feature("bcc", True, False, "0.26")))
BAD = Report(
    "6.12.1",
    (
        Feature("BPF LSM active", False, True, "programs are not called", "put lsm=yama,bpf on the command line"),
        Feature("LSM attachment", None, True, "could not be tried", "mend what is missing above"),
        Feature("bpf file system", False, False, "not mounted", "mount -t bpf bpf /sys/fs/bpf"),
    ),
)


def run(report: Report, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(doctor, "detect", lambda _of_the_node: report)
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["doctor", *options])
    return int(arguments.run(arguments))


@pytest.mark.parametrize("options", [(), ("-o", "json")])
def test_exit_status_is_the_answer(
    options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 where everything can be enforced, 1 where not, whatever the form."""
    assert run(GOOD, monkeypatch, *options) == 0
    assert run(BAD, monkeypatch, *options) == 1
    assert capsys.readouterr().err == ""


def test_text_says_what_is_missing_and_how_to_mend_it() -> None:
    """Sections first, then what was found, then remedies: needed ones apart from those that are only good to have."""
    assert doctor.as_text(BAD).splitlines() == [
        "Kernel 6.12.1 can enforce:",
        "  exec          no: BPF LSM active, LSM attachment",
        "  files         no: BPF LSM active, LSM attachment",
        "  egress        yes",
        "  sockets       no: BPF LSM active, LSM attachment",
        "  capabilities  no: BPF LSM active, LSM attachment",
        "  operations    no: BPF LSM active, LSM attachment",
        "",
        "Found:",
        "  BPF LSM active   missing  programs are not called",
        "  LSM attachment   unknown  could not be tried",
        "  bpf file system  missing  not mounted (optional)",
        "",
        "To mend:",
        "  BPF LSM active: put lsm=yama,bpf on the command line",
        "Worth mending:",
        "  bpf file system: mount -t bpf bpf /sys/fs/bpf",
        "Not everything can be enforced on this machine.",
    ]


def test_text_of_a_good_report_ends_with_the_good_news() -> None:
    """Nothing to mend, nothing about mending."""
    text = doctor.as_text(GOOD)
    assert text.endswith("\n\nEverything can be enforced.")
    assert "mend" not in text


def test_text_says_that_programs_would_be_on_functions() -> None:
    """Where BPF LSM is not active but all can be enforced, the last line says how; the remedy is worth while."""
    inactive = Feature("BPF LSM active", False, False, "programs are not called", "put lsm=yama,bpf there")
    lines = doctor.as_text(Report("6.12.1", (inactive,))).splitlines()
    assert lines[-3:] == [
        "Worth mending:",
        "  BPF LSM active: put lsm=yama,bpf there",
        "Everything can be enforced, by programs on functions: at more cost than by LSM hooks.",
    ]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_one_object(
    output: str,
    read: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They find the same facts under stable names."""
    run(BAD, monkeypatch, "-o", output)
    answer = read(capsys.readouterr().out)
    assert answer["kernel"] == "6.12.1"
    assert answer["can_enforce"] is False
    assert answer["sections"]["exec"] == {"enforceable": False, "missing": ["BPF LSM active", "LSM attachment"]}
    assert answer["sections"]["egress"] == {"enforceable": True, "missing": []}
    assert answer["features"][1] == {
        "name": "LSM attachment",
        "ok": None,
        "needed": True,
        "found": "could not be tried",
        "remedy": "mend what is missing above",
    }


def test_hybrid_cgroup_layout_is_a_missing_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal's reason and remedy are told apart."""

    def refuse() -> None:
        raise NotEnforceable("cgroup v2 shares the node; nothing is enforced (boot with x=1)")

    monkeypatch.setattr(doctor, "mount_point", refuse)
    feature = doctor.cgroup_hierarchy()
    assert (feature.ok, feature.needed) == (False, True)
    assert feature.found == "cgroup v2 shares the node"
    assert feature.remedy == "boot with x=1"
