"""Native programs of the cluster: started so that they die with us, their output in a log each, ended by their
handles.

Why here: what is left behind would be in the way of the next run. Next step: `control_plane` says which programs.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import BIN

TAIL_LINES = 40
TAIL_COLUMNS = 300


@dataclass(frozen=True)
class Program:
    """A running program and its log."""

    name: str
    log: Path
    running: subprocess.Popen[bytes]

    def has_ended(self) -> bool:
        """Whether it is gone; a cluster's programs never end by themselves."""
        return self.running.poll() is not None

    def end(self) -> None:
        """Kill it: there is nothing in a bench that a program would have to save."""
        self.running.kill()
        self.running.wait()


def start(name: str, arguments: list[str], folder: Path) -> Program:
    """The program of that name in the cache, running in `folder`."""
    return start_command(name, [str(BIN / name), *arguments], folder, {})


def start_command(name: str, command: list[str], folder: Path, environment: Mapping[str, str]) -> Program:
    """A program of the machine, running in `folder` with our environment and these additions to it."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # the terminal's Ctrl-C is ours to handle
            env={**os.environ, **environment},
        )
    return Program(name, log, running)


def tails(folder: Path) -> str:
    """The last lines of every log in `folder`, each under its name."""
    parts = []
    for log in sorted(folder.rglob("*.log")):
        lines = [line[:TAIL_COLUMNS] for line in log.read_text(errors="replace").splitlines()[-TAIL_LINES:]]
        if lines:
            parts.append(f"--- {log.name}\n" + "\n".join(lines))
    return "\n".join(parts)
