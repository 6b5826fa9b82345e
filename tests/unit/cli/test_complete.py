"""Completion: by the engine, by shells that are there, and never with an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bulkhead.cli import COMMANDS, PLUGIN, complete, main, plugin_parser
from bulkhead.cli.completion import SHELLS
from tests.unit.kube.api_server import answered, api_server, refused

BASH_ASKS = """
bulkhead() { "$PYTHON" -m bulkhead "$@"; }
COMP_WORDS=(bulkhead "$@") COMP_CWORD=$# COMPREPLY=()
_bulkhead 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[str], str]:
    """The names, and the directive."""
    assert main(["__complete", *words]) == 0
    *lines, directive = capsys.readouterr().out.splitlines()
    return [line.partition("\t")[0] for line in lines], directive


@pytest.mark.parametrize(
    ("words", "names", "directive"),
    [
        (["st"], ["status"], ":4"),
        (["policy", ""], ["validate", "explain", "render"], ":4"),
        (["status", "--nod"], ["--node"], ":4"),
        (["status", "-o", "w"], ["wide"], ":4"),
        (["status", "--output=j"], ["--output=json"], ":4"),
        (["status", "--kubeconfig", ""], [], ":0"),
        (["policy", "validate", ""], [], ":0"),
        (["completion", ""], ["bash", "zsh", "fish"], ":4"),
        (["completion", "bash", ""], [], ":4"),
        (["nothing", ""], [], ":4"),
        (["status", "--nothing", ""], [], ":4"),
    ],
)
def test_words_are_offered(
    words: list[str], names: list[str], directive: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, options, choices; files where the shell knows them."""
    if words[:2] == ["status", "--nothing"]:
        assert offered(capsys, *words)[1] == directive
    else:
        assert offered(capsys, *words) == (names, directive)


def test_names_are_asked_of_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the options so far; contexts of the kubeconfig; a cluster that refuses offers nothing and says nothing."""
    pods = answered({"items": [{"metadata": {"name": name, "namespace": "shop"}} for name in ("web-0", "web-1", "db")]})
    with api_server(tmp_path) as (server, _):
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        server.script = [pods, pods, refused(403, "no"), answered({"items": []}), answered({"items": []})]
        assert offered(capsys, "status", "-n", "shop", "--pod", "we") == (["web-0", "web-1"], ":4")
        assert offered(capsys, "status", "-A", "--pod", "shop/d") == (["shop/db"], ":4")
        assert offered(capsys, "events", "-n", "") == ([], ":4")
        assert offered(capsys, "status", "--context", "") == (["here", "nowhere"], ":4")
        assert offered(capsys, "status", "") == ([], ":4")
        asked = [path for _, path, _, _ in server.requests]
    assert asked[:3] == ["/api/v1/namespaces/shop/pods", "/api/v1/pods", "/api/v1/namespaces"]
    assert asked[3].endswith("namespaces/default/securitypolicies")
    assert capsys.readouterr().err == ""


def test_kubectls_plugin_has_the_commands_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """And calls itself as it is called."""
    complete.show([""], plugin_parser)
    names = [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [*PLUGIN, ":4"]
    assert set(PLUGIN) < set(COMMANDS)
    assert plugin_parser("status").prog == "kubectl bulkhead"


def test_bash_completes(tmp_path: Path) -> None:
    """What it is told works, words that it cuts at `=` included."""
    script = SHELLS["bash"] + BASH_ASKS
    for words, found in (
        (["sta"], ["status"]),
        (["status", "--output", "=", "y"], ["yaml"]),
        (["policy", "r"], ["render"]),
    ):
        done = subprocess.run(
            ["bash", "-c", script, "bash", *words],
            env={"PYTHON": sys.executable, "PYTHONPATH": "agent", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        assert done.stdout.split() == found
