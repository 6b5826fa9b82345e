"""A running cluster, in the hands of a test or a person: kubectl, Helm, and commands in the node.

Why here: everything there is to know about a running cluster is in its run's folder, so any process may hold one.
Next steps: `start` brings one up, `channel` is how the node is asked.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import BIN, RUN, BenchError, channel
from tools.cluster.addresses import NODE_NAME

COMMAND_S = 660.0  # an emulated node takes its time


class CommandFailed(BenchError):
    """A command that was expected to succeed did not. `status` is its exit status."""

    def __init__(self, command: str, status: int, output: str) -> None:
        self.status, self.output = status, output
        super().__init__(f"`{command}` ended with {status}: {output.strip()}")


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up. `images` are the references that its pods may use; there is no registry for others."""

    images: tuple[str, ...] = ()
    run: Path = RUN
    node: str = NODE_NAME

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.run / "credentials/admin.kubeconfig"

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout_s: float = COMMAND_S
    ) -> str:
        """What kubectl prints; where not to `check`, also what it complains of. Raises `CommandFailed`."""
        result = self.tried("kubectl", *arguments, stdin=stdin, timeout_s=timeout_s)
        return _checked(result, "kubectl", arguments) if check else result.stdout + result.stderr

    def helm(self, *arguments: str, stdin: str | None = None, check: bool = True, timeout_s: float = COMMAND_S) -> str:
        """What Helm prints; where not to `check`, also what it complains of. Raises `CommandFailed`."""
        result = self.tried("helm", *arguments, stdin=stdin, timeout_s=timeout_s)
        return _checked(result, "helm", arguments) if check else result.stdout + result.stderr

    def tried(
        self, program: str, *arguments: str, stdin: str | None = None, timeout_s: float = COMMAND_S
    ) -> subprocess.CompletedProcess[str]:
        """A program of the cache run against this cluster, however it ended. Raises `BenchError` where it hangs."""
        try:
            return subprocess.run(
                [str(BIN / program), *arguments],
                input=stdin if stdin is not None else "",
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout_s,
                env=self.environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"`{program} {' '.join(arguments)}` was ended: not done after {timeout_s:g} s") from error

    def environment(self) -> dict[str, str]:
        """Ours, with kubectl and Helm in the path and talking to this cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": f"{BIN}:{os.environ.get('PATH', '')}"}

    def on_node(self, command: str, *, check: bool = True, timeout_s: float = 120.0) -> str:
        """What a command for bash prints that is run as root in the node, on both streams. Raises `CommandFailed`."""
        answer = self.tried_on_node(command, timeout_s=timeout_s)
        if check and answer.status:
            raise CommandFailed(command, answer.status, answer.output)
        return answer.output

    def tried_on_node(self, command: str, *, timeout_s: float = 120.0) -> channel.Answer:
        """The status and output of a command run as root in the node."""
        return channel.run(self.run / "node/commands", command, timeout_s)


def _checked(result: subprocess.CompletedProcess[str], program: str, arguments: tuple[str, ...]) -> str:
    if result.returncode:
        raise CommandFailed(f"{program} {' '.join(arguments)}", result.returncode, result.stderr or result.stdout)
    return result.stdout
