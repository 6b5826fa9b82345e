"""`bulkhead run` as a program: exact in exit status, streams and the completeness of its event file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bulkhead.agent.trial import Trial, _Running, run_trial
from bulkhead.enforcement.roots import mount_namespace
from bulkhead.node.container import Container
from tests.kernel.enforcement.box import policy

START_S = 600.0  # each loads the programs for itself, which takes an emulated machine a quarter of a minute
DENY = policy("""
  exec:
    rules: [{name: no-id, action: Deny, paths: [/usr/bin/id]}]
  files:
    rules: [{name: secret, action: Deny, operations: [Read], paths: ["SECRETS/**"]}]
""")


@dataclass(frozen=True)
class Ran:
    """A finished `bulkhead run`."""

    status: int
    out: bytes
    err: bytes
    events: list[dict[str, Any]]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """300 files that the policy covers, and the policy."""
    directory = tmp_path / "secrets"
    directory.mkdir()
    for number in range(300):
        (directory / str(number)).write_text("x")
    (tmp_path / "policy.yaml").write_text(DENY.replace("SECRETS", str(directory)))
    return tmp_path


def words(directory: Path, command: Sequence[str], *options: str) -> list[str]:
    """The command line."""
    start = [sys.executable, "-m", "bulkhead", "run", "--policy", str(directory / "policy.yaml")]
    return [*start, "--events", str(directory / "out.jsonl"), *options, "--", *command]


def run(directory: Path, *command: str, stdin: bytes = b"") -> Ran:
    """Run a command under the policy."""
    line = words(directory, command)
    done = subprocess.run(line, input=stdin, capture_output=True, timeout=START_S, check=False)
    out = directory / "out.jsonl"
    events = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return Ran(done.returncode, done.stdout, done.stderr, events)


def test_streams_and_status_are_the_commands_own(secrets: Path) -> None:
    """Byte for byte, in both directions; nothing is reported where nothing is denied."""
    ran = run(secrets, "sh", "-c", "cat; printf 'o\\377ut'; printf err >&2; exit 3", stdin=b"in\0")
    assert (ran.status, ran.out, ran.err, ran.events) == (3, b"in\0o\xffut", b"err", [])


def statuses(directory: Path, *attempts: list[str]) -> list[int]:
    """Exit statuses of several at once: each is options, if any, and a command without arguments."""
    running = []
    for *options, command in attempts:
        line = words(directory, [command], "--events", "/dev/null", *options)
        running.append(subprocess.Popen(line, stderr=subprocess.DEVNULL))
    return [each.wait(START_S) for each in running]


def test_the_exit_status_is_what_a_shell_would_say(secrets: Path) -> None:
    """128+N for a signal, 127 not found, 126 not executable; denied is below, with the labels."""
    (secrets / "killed").write_text("#!/bin/sh\nkill -TERM $$\n")
    (secrets / "killed").chmod(0o755)
    commands = [str(secrets / "killed"), "/no/such/program", "/etc/passwd", "/usr/bin/true"]
    assert statuses(secrets, *([command] for command in commands)) == [143, 127, 126, 0]


def test_every_denial_is_in_the_file(secrets: Path) -> None:
    """300 different files and 2,000 repeats of one: the counts add up, in children and child cgroups too."""
    script = f"""
import os, subprocess
own = "/sys/fs/cgroup" + open("/proc/self/cgroup").read().strip().split("::")[1]
os.mkdir(own + "/child")
def attempt(name, times=1):
    for _ in range(times):
        try: os.close(os.open("{secrets}/secrets/" + name, os.O_RDONLY)); raise SystemExit("was not denied")
        except PermissionError: pass
for number in range(300): attempt(str(number))
attempt("0", 2000)
if os.fork() == 0:
    open(own + "/child/cgroup.procs", "w").write("0")
    attempt("1")
    os._exit(0)
os.wait()
"""
    ran = run(secrets, sys.executable, "-S", "-c", script)
    assert ran.status == 0, ran.err
    assert sum(event["count"] for event in ran.events) == 300 + 2000 + 1
    assert len({event["object"] for event in ran.events}) == 300
    first = ran.events[0]
    expected = {"verdict": "DENIED", "policy": "p", "rule": "secret", "operation": "Read", "severity": "Medium"}
    assert {key: first[key] for key in expected} == expected
    assert first["process"]["executable"] == str(Path(sys.executable).resolve())
    assert len({event["id"] for event in ran.events}) == len(ran.events)


def test_what_is_left_running_is_ended(secrets: Path) -> None:
    """Nothing would enforce on it any more: neither a daemon nor a child cgroup hides from it, nor does either stay."""
    script = """
own=/sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)
mkdir $own/child
setsid sh -c 'echo 0 > '$own'/child/cgroup.procs; trap "" TERM HUP; echo $$ > FIFO; exec sleep 1000' &
read started < FIFO
echo $started $own
"""
    os.mkfifo(secrets / "started")
    ran = run(secrets, "sh", "-c", script.replace("FIFO", str(secrets / "started")))
    assert ran.status == 0, ran.err
    started, own = ran.out.split()
    assert not Path(f"/proc/{int(started)}").exists()
    assert not Path(own.decode()).exists()


def test_the_command_does_not_outlive_us(secrets: Path) -> None:
    """`bulkhead run` killed with -9 takes the command along, since its programs go with it."""
    os.mkfifo(secrets / "started")
    script = f"echo $$ > {secrets}/started; exec sleep 1000"
    with subprocess.Popen(words(secrets, ["sh", "-c", script])) as running:
        command = int((secrets / "started").read_text())
        running.kill()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{command}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{command}").exists()


def test_a_file_of_events_that_cannot_be_written_is_told(secrets: Path) -> None:
    """The file is not complete, so the status is not the command's; the policy held."""
    line = words(secrets, ["sh", "-c", "/usr/bin/id || echo denied"], "--events", "/dev/full")
    done = subprocess.run(line, capture_output=True, timeout=START_S, check=False)
    assert (done.returncode, done.stdout) == (1, b"denied\n")
    assert b"bulkhead: violations cannot be written: No space left on device" in done.stderr


def test_kill_ends_the_command(secrets: Path) -> None:
    """And its violation is in the file."""
    (secrets / "policy.yaml").write_text(DENY.replace("SECRETS", str(secrets / "secrets")).replace("Deny", "Kill"))
    ran = run(secrets, "cat", str(secrets / "secrets/0"))
    assert (ran.status, ran.out) == (137, b"")
    assert [event["verdict"] for event in ran.events] == ["KILLED"]


def test_a_bad_policy_starts_nothing(secrets: Path) -> None:
    """Exit 2, with file, line and field; the command did not run."""
    (secrets / "policy.yaml").write_text(DENY.replace("action", "acton"))
    ran = run(secrets, "touch", str(secrets / "ran"))
    assert ran.status == 2
    assert b"the command was not started" in ran.err
    assert b"policy.yaml:8: spec.exec.rules[0].acton" in ran.err
    assert not (secrets / "ran").exists()


def test_labels_consult_selectors(secrets: Path) -> None:
    """A policy that does not select the label is not in force. Without --label every policy is: all other tests."""
    text = (secrets / "policy.yaml").read_text().replace("podSelector: {}", "podSelector: {matchLabels: {app: web}}")
    (secrets / "policy.yaml").write_text(text)
    attempts = [["--label", f"app={app}", "/usr/bin/id"] for app in ("db", "web")]
    assert statuses(secrets, *attempts) == [0, 126]


@pytest.mark.parametrize("command", [["true"], ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]])
def test_a_command_may_end_before_its_mounts_are_watched(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """The thread that follows its mounts is held until the command is gone: that is no failure of the command."""
    follow = _Running._follow_mounts

    def follow_late(running: _Running, container: Container, *rest: Any) -> None:
        while mount_namespace(container.pid or 0):
            time.sleep(0.01)
        follow(running, container, *rest)

    monkeypatch.setattr(_Running, "_follow_mounts", follow_late)
    assert run_trial(Trial(command, ())) == 0


def test_two_at_once_do_not_disturb_one_another(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each is under its own policy and sees its own violations."""
    other = tmp_path_factory.mktemp("other")
    (other / "policy.yaml").write_text(DENY.replace("SECRETS", "/nowhere").replace("/usr/bin/id", "/usr/bin/uname"))
    script = "sleep 2; /usr/bin/id >/dev/null; /usr/bin/uname >/dev/null; true"
    running = [subprocess.Popen(words(each, ["sh", "-c", script])) for each in (secrets, other)]
    assert [each.wait(START_S) for each in running] == [0, 0]
    told = [
        json.loads(line)["object"]
        for each in (secrets, other)
        for line in (each / "out.jsonl").read_text().splitlines()
    ]
    assert told == ["/usr/bin/id", "/usr/bin/uname"]
