"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bulkhead.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[3]


def test_without_a_command_help_is_shown_and_it_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command is named."""
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "policy validate", "policy explain", "policy render"])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` shows how it is used."""
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "example" in shown or command == "doctor"


def test_errors_end_with_their_status(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there: message on stderr, status 2."""
    assert main(["policy", "validate", "/no/such/file"]) == 2
    assert "/no/such/file: No such file or directory" in capsys.readouterr().err


def test_importing_the_command_line_is_cheap() -> None:
    """Nothing heavy comes with it: not the models, gRPC, YAML, bcc or the Kubernetes client."""
    code = "import sys, bulkhead.cli, bulkhead.cli.run, bulkhead.cli.agent; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "grpc", "yaml", "bcc", "kubernetes"} & set(loaded)


def test_explain_and_render(capsys: pytest.CaptureFixture[str]) -> None:
    """Words for people, and the exact C and map contents."""
    example = str(ROOT / "examples/demo.yaml")
    assert main(["policy", "explain", example]) == 0
    assert "denies Exec of /usr/bin/whoami" in capsys.readouterr().out
    assert main(["policy", "render", example]) == 0
    shown = capsys.readouterr().out
    assert '#include "file.bpf.c"' in shown
    assert "PROGRAM(file_open)" in shown
