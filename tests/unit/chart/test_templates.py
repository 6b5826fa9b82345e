"""The chart's templates as they are written: one object a file, reasons for rights, the version of the package.

Next step: tests/cluster/chart, where Helm renders them.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

import bulkhead
from bulkhead.policy.parse import parse_text

CHART = Path(__file__).resolve().parents[3] / "deploy/helm/bulkhead"
TEMPLATES = sorted((CHART / "templates").glob("*.yaml"))
ROLES = [path for path in TEMPLATES if "role.yaml" in path.name]
DAEMONSET = (CHART / "templates/agent-daemonset.yaml").read_text()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_is_one_object(path: Path) -> None:
    """And its file is called after the component and the kind."""
    text = path.read_text()
    kinds = re.findall(r"^kind: (\w+)$", text, re.MULTILINE)
    assert len(kinds) == 1
    assert "\n---" not in text
    kind = {"persistentvolumeclaim": "pvc"}.get(kinds[0].lower(), kinds[0].lower())
    assert path.stem.rpartition("-")[2] == kind


def test_the_chart_is_of_the_packages_version() -> None:
    """A chart of another version would ask for images that it was not made for."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == bulkhead.__version__


def test_each_capability_has_a_reason() -> None:
    """The agent drops all and adds five, each with a comment that says why."""
    block = DAEMONSET.partition("              add:\n")[2].partition("            seccompProfile")[0]
    lines = [line.strip() for line in block.splitlines() if line.strip()]
    assert [re.match(r"- (\w+)", line)[1] for line in lines] == [  # type: ignore[index]
        "BPF",
        "PERFMON",
        "NET_ADMIN",
        "SYS_PTRACE",
        "DAC_READ_SEARCH",
    ]
    assert [line for line in lines if not re.fullmatch(r"- \w+ # .{10,}", line)] == []
    assert "drop: [ALL]" in DAEMONSET


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.stem)
def test_each_right_is_named_and_has_a_reason(path: Path) -> None:
    """No wildcard, no right to delete, none to Secrets but by name, and a comment above each rule."""
    text = path.read_text()
    rules = text.partition("\nrules:\n")[2]
    assert "*" not in rules
    assert re.findall(r"secrets\]\n +(\w+):", rules) == ["resourceNames"] * rules.count("secrets")
    assert "delete" not in rules
    above = [line.strip() for line in rules.splitlines()]
    starts = [number for number, line in enumerate(above) if line.startswith("- apiGroups")]
    assert starts
    assert [above[number] for number in starts if not above[number - 1].startswith("# ")] == []


def test_the_first_policy_of_the_notes_is_valid() -> None:
    """Whoever follows them gets no error, and nothing that is not enforced yet."""
    notes = (CHART / "templates/NOTES.txt").read_text()
    document = re.search(r"<<END\n(.*?)\n *END\n", notes, re.DOTALL)
    assert document is not None
    parsed = parse_text(textwrap.dedent(document[1]), "NOTES.txt")
    assert parsed.problems == ()
    assert [policy.name for policy in parsed.policies] == ["first"]
