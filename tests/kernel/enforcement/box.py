"""A workload under a policy, on the real kernel: run acts in it, look at what was reported."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bulkhead.agent.names import EnforcerNames
from bulkhead.agent.pump import Pump
from bulkhead.enforcement.building import Build, build_at_once
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.enforcement.records import Records
from bulkhead.kernel.instance import Instance
from bulkhead.node import cgroups
from bulkhead.node.container import Container
from bulkhead.policy.parse import parse_text
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import PolicyRules
from bulkhead.report.identity import NodeIdentity
from bulkhead.report.render import to_json
from bulkhead.report.reporter import Reporter
from bulkhead.v1.violation_pb2 import Entry
from tests.kernel.enforcement.programs import compiled

_numbers = itertools.count(1)
COMMAND_S = 120


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def denied(self) -> bool:
        """Whether it failed with EPERM, as its own message says."""
        return self.status != 0 and "Operation not permitted" in self.err


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep them."""
        self.entries.extend(entries)

    def retry(self) -> None:
        """Nothing to do."""


class Bench:
    """One loaded instance for many boxes."""

    def __init__(self, instance: Instance, build: Build = build_at_once) -> None:
        self.instance = instance
        self.enforcer = Enforcer(instance, Records(None), build)
        self.kept = Kept()
        self.reporter = Reporter(EnforcerNames(self.enforcer), NodeIdentity("guest", "boot"), [self.kept])
        self.pump = Pump(instance, self.reporter)

    @contextmanager
    def box(self, *policies: str | PolicyRules, of_node: bool = False) -> Iterator[Box]:
        """A cgroup under some policies (YAML, or their rules): a container's, or one of the node's own."""
        name = f"box-{os.getpid()}-{next(_numbers)}"
        cgroup = cgroups.create(cgroups.mount_point() / name)
        box = Box(self, cgroup, of_node)
        try:
            box.apply(*policies)
            self.pump.take_over()
            self.kept.entries.clear()
            yield box
        finally:
            self.enforcer.release(cgroup.id)
            cgroups.remove(cgroup.path)


class Box:
    """A workload's cgroup."""

    def __init__(self, bench: Bench, cgroup: cgroups.Cgroup, of_node: bool = False) -> None:
        self._bench = bench
        self.cgroup = cgroup
        pid = 1 if of_node else os.getpid()
        self._container = Container(cgroup.path.name, cgroup.path, cgroup.id, pid=pid, of_node=of_node)

    def apply(self, *policies: str | PolicyRules, alone: bool = False) -> bool:
        """Put it under these policies, or it alone and none below it; whether anything changed."""
        return self._bench.enforcer.enforce(replace(self._container, alone=alone), rules_of(*policies))

    def run(self, *argv: str, cgroup: Path | None = None, timeout_s: float = COMMAND_S) -> Done:
        """Run a command in the cgroup (or one below it)."""
        command = [*entering(cgroup or self.cgroup.path), *argv]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="surrogateescape", timeout=timeout_s
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """A process in the cgroup that goes on, with pipes to talk to it; the caller ends it."""
        pipe = subprocess.PIPE
        return subprocess.Popen([*entering(self.cgroup.path), *argv], stdin=pipe, stdout=pipe, text=True)

    def sh(self, script: str) -> Done:
        """Run a bash script in the cgroup."""
        return self.run("/bin/bash", "-c", script)

    def violations(self) -> list[dict[str, Any]]:
        """What was reported since the box was made or since the last call, repeats and gaps included."""
        self._bench.pump.take_over()
        told = [to_json(entry) for entry in self._bench.kept.entries]
        self._bench.kept.entries.clear()
        return told


def entering(cgroup: Path) -> list[str]:
    """What goes before a command so that it runs in a cgroup."""
    return [str(compiled("enter")), str(cgroup)]


def rules_of(*policies: str | PolicyRules) -> list[PolicyRules]:
    """The rules of policy documents, all of which must be good. What is rules already stays so."""
    rules = []
    for each in policies:
        if isinstance(each, PolicyRules):
            rules.append(each)
            continue
        parsed = parse_text(each, "test")
        assert not parsed.problems, parsed.problems
        rules += [resolve(policy) for policy in parsed.policies]
    return rules


def policy(spec: str, name: str = "p") -> str:
    """A SecurityPolicy with the given spec: YAML, indented by two spaces."""
    head = f"apiVersion: bulkhead.dev/v1alpha1\nkind: SecurityPolicy\nmetadata: {{name: {name}}}\n"
    return f"{head}spec:\n  podSelector: {{}}\n{spec}"
