"""What is told of a node from afar, and how to mend it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bulkhead.cli import doctor_nodes
from bulkhead.cli.doctor_nodes import chosen, show_nodes
from bulkhead.errors import Unreachable, UsageError
from tests.unit.cli.objects import Objects
from tests.unit.controller.objects import agent, node, node_state, row

PODS = "/api/v1/namespaces/bulkhead-system/pods"
READY = [{"type": "Ready", "status": "True", "reason": "Enforcing", "message": "all of it"}]


def host(name: str = "a", ready: str = "True") -> dict[str, Any]:
    """A Node."""
    made = node(name)
    made["status"]["conditions"] = [{"type": "Ready", "status": ready, "message": "said nothing for long"}]
    return made


def state(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A NodeState that is ready."""
    made = node_state("a", *rows, **more)
    made["status"] |= {"agentVersion": "0.1", "conditions": READY}
    return made


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the agent answers, without a port."""
    lines = ["[+]synced ok", "ok"]

    class Forwarded:
        def __init__(self, *_: object) -> None:
            """To nowhere."""

        def __enter__(self) -> str:
            if not lines:
                raise Unreachable("may not")
            return "address"

        def __exit__(self, *_: object) -> None:
            """Nothing to end."""

    monkeypatch.setattr(doctor_nodes, "forward_to", Forwarded)
    monkeypatch.setattr(doctor_nodes, "_asked", lambda address: "\n".join(lines))
    return lines


def told(capsys: pytest.CaptureFixture[str], nodes: dict[str, Any], pod: Any, said: Any) -> tuple[int, str]:
    """Exit status and text."""
    running = pod and {**pod, "status": {"phase": "Running", **pod["status"]}}
    found = Objects({PODS: {"items": [running] if running else []}, "/apis/bulkhead.dev/v1alpha1/nodestates/a": said})
    return show_nodes(found.api, [nodes], "bulkhead-system", "text"), capsys.readouterr().out


def test_a_node_where_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that was looked at has a line, and nothing is to mend."""
    status, text = told(capsys, host(), agent(), state(row()))
    assert status == 0
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [
        ["node", "ok"], ["agent", "ok"], ["NodeState", "ok"], ["policies", "ok"], ["check", "synced"],
    ]  # fmt: skip
    assert "To mend" not in text


@pytest.mark.parametrize(
    ("nodes", "pod", "said", "line", "remedy"),
    [
        (host(ready="Unknown"), agent(), state(), "not Ready: said nothing", "see its kubelet"),
        (host(), None, state(), "no pod in namespace", "tolerations"),
        (host(), agent(ready=False), state(), "is not Ready", "logs agent-a"),
        (host(), agent(), None, "there is none", "see the agent's pod"),
        (host(), agent(), state(boot="old"), "of an earlier boot", "until its agent is back"),
        (host(), agent(), state(row(selected=2), behind=("shop/web-1/web",)), "behind: shop/web-1/web", "--pod"),
        (host(), agent(), state(failures={"shop/web-1/web": "states: 9"}), "states: 9", "docs/limits.md"),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(
    *, nodes: Any, pod: Any, said: Any, line: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is 1."""
    status, text = told(capsys, nodes, pod, said)
    assert status == 1
    assert line in text
    assert remedy in text.partition("To mend:")[2]


def test_the_agents_own_checks_count(checks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One that fails is wrong; not to be able to ask is not well either, and no more than unknown."""
    checks[:] = ["[-]synced failed: not yet", "failed"]
    status, text = told(capsys, host(), agent(), state(row()))
    assert (status, "wrong    failed: not yet" in text) == (1, True)
    checks.clear()
    status, text = told(capsys, host(), agent(), state(row()))
    assert (status, "unknown  not to be read: may not" in text) == (1, True)


def test_nodes_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, by labels or all; what is not there is wrong use; programs get one document."""
    found = Objects({"/api/v1/nodes": {"items": [host("b"), host("a")]}, PODS: {"items": []}})
    assert [each["metadata"]["name"] for each in chosen(found.api, [], "")] == ["a", "b"]
    assert [each["metadata"]["name"] for each in chosen(found.api, ["b"], "")] == ["b"]
    chosen(found.api, [], "pool=web")
    assert found.asked[-1] == ("/api/v1/nodes", {"labelSelector": "pool=web"})
    with pytest.raises(UsageError, match="there is no node c in this cluster"):
        chosen(found.api, ["b", "c"], "")
    assert show_nodes(found.api, chosen(found.api, ["b"], ""), "bulkhead-system", "json") == 1
    listed = json.loads(capsys.readouterr().out)
    assert [(each["node"], each["ok"]) for each in listed["items"]] == [("b", False)]
