"""`by`: rules about some programs only. Who a process is, what ends it, and how nobody becomes somebody else."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, policy
from tests.kernel.enforcement.programs import compiled


@dataclass(frozen=True)
class Stage:
    """Programs that are alike but for their paths, and files."""

    web: str
    other: str
    tool: str
    secret: str
    plain: str

    def rules(self, by: str = "") -> str:
        """Nobody but web reads the secret."""
        return policy(f"""
  files:
    rules:
    - {{name: secret, action: Deny, operations: [Read], paths: ["{self.secret}"], by: ["{by or "!" + self.web}"]}}
""")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Copies of it, and two files."""
    for name in ("web", "other", "tool"):
        shutil.copy(compiled("actor"), tmp_path / name)
    for name in ("secret", "plain"):
        (tmp_path / name).write_text(f"{name}\n")
    return Stage(*(str(tmp_path / name) for name in ("web", "other", "tool", "secret", "plain")))


@pytest.fixture
def box(bench: Bench, stage: Stage) -> Iterator[Box]:
    """A box in which nobody but web reads the secret."""
    with bench.box(stage.rules()) as made:
        yield made


def said(box: Box, *argv: str) -> list[str]:
    """What the program said came of its acts."""
    return box.run(*argv).out.split()


def test_a_rule_is_about_the_program_that_acts(box: Box, stage: Stage) -> None:
    """`!web` denies everyone but web, and nobody anything else; the event names rule and program."""
    assert said(box, stage.web, "read", stage.secret) == ["ok"]
    assert said(box, stage.other, "read", stage.plain) == ["ok"]
    assert box.violations() == []
    assert said(box, stage.other, "read", stage.secret) == ["EPERM"]
    (violation,) = box.violations()
    assert (violation["rule"], violation["verdict"]) == ("secret", "DENIED")
    assert violation["process"]["executable"] == stage.other


def test_a_rule_by_a_program_denies_it_alone(bench: Bench, stage: Stage) -> None:
    """`by: other`: other is denied, web is not."""
    with bench.box(stage.rules(by=stage.other)) as box:
        assert said(box, stage.other, "read", stage.secret) == ["EPERM"]
        assert said(box, stage.web, "read", stage.secret) == ["ok"]


def test_without_the_rule_everyone_reads(bench: Bench, stage: Stage) -> None:
    """The control."""
    with bench.box(stage.rules().replace("Deny", "Allow")) as box:
        for program in (stage.web, stage.other):
            assert said(box, program, "read", stage.secret) == ["ok"]
        assert said(box, stage.other, "pretend", stage.web) == [
            "EPERM"
        ]  # a rule that allows some is one about programs


@pytest.mark.parametrize("way", ["thread", "fork", "vfork", "clone"])
def test_children_and_threads_are_the_same_program(box: Box, stage: Stage, way: str) -> None:
    """Whoever web starts without executing is web; and so for others."""
    assert said(box, stage.web, way, stage.secret) == ["ok"]
    assert said(box, stage.other, way, stage.secret) == ["EPERM"]


def test_executing_makes_another_program(box: Box, stage: Stage) -> None:
    """In both directions, also where another thread than the first executes."""
    for way in ("exec", "thread-exec"):
        assert said(box, stage.web, way, stage.other, "read", stage.secret) == ["EPERM"]
        assert said(box, stage.other, way, stage.web, "read", stage.secret) == ["ok"]


def test_names_are_not_borrowed(box: Box, stage: Stage) -> None:
    """Neither by an argument, nor by a link: the file that is executed counts."""
    link = str(Path(stage.other).with_name("link"))
    Path(link).symlink_to(stage.web)
    assert box.sh(f"exec -a {stage.web} {stage.other} read {stage.secret}").out.split() == ["EPERM"]
    assert said(box, link, "read", stage.secret) == ["ok"]
    hard = str(Path(stage.other).with_name("hard"))
    Path(hard).hardlink_to(stage.other)
    assert said(box, hard, "read", stage.secret) == ["EPERM"]


def test_no_process_says_that_it_executed_another_file(bench: Bench, box: Box, stage: Stage) -> None:
    """PR_SET_MM_EXE_FILE is refused; without rules about programs the kernel answers for itself."""
    assert said(box, stage.other, "pretend", stage.web) == ["EPERM"]
    (violation,) = box.violations()
    assert (violation["rule"], violation["operation"]) == ("secret", "Exec")
    with bench.box(policy("  exec: {default: Allow}")) as free:
        assert said(free, stage.other, "pretend", stage.web) == ["EBUSY"]


def test_a_script_is_its_interpreter(bench: Bench, stage: Stage) -> None:
    """What runs is the interpreter: a rule about it holds for its scripts, one about the script for nothing."""
    script = Path(stage.other).with_name("script")
    script.write_text(f"#!{stage.web} read\n")
    script.chmod(0o755)
    with bench.box(stage.rules(by=stage.web)) as box:
        assert said(box, str(script)) == ["ok"]  # reads itself: it is its interpreter's argument
        script.write_text(f"#!/usr/bin/bash\nread -r line < {stage.secret} && echo read\n")
        assert said(box, str(script)) == ["read"]
    with bench.box(stage.rules(by="/usr/bin/bash")) as box:
        assert said(box, str(script)) == []
    with bench.box(stage.rules(by=str(script))) as box:
        assert said(box, str(script)) == ["read"]


def test_what_runs_already_is_who_it_is(bench: Bench, stage: Stage) -> None:
    """A process that is older than the rule is known by the file that it executed, where the kernel lets us see it."""
    known = bench.instance.bundle.parameters.direct_file_path
    with bench.box(policy("  exec: {default: Allow}")) as box:
        started = {name: _serving(box, name, "serve") for name in (stage.web, stage.other)}
        box.apply(stage.rules())
        assert _ask(started[stage.web], stage.secret) == ("ok" if known else "EPERM")
        assert _ask(started[stage.other], stage.secret) == "EPERM"
        box.apply(stage.rules(), policy("  exec: {default: Audit}", name="q"))
        assert _ask(started[stage.web], stage.secret) == ("ok" if known else "EPERM")
        assert _ask(started[stage.other], stage.secret) == "EPERM"
        for process in started.values():
            process.communicate(timeout=60)


def test_who_a_process_is_survives_its_file(box: Box, stage: Stage) -> None:
    """Settled at exec: renaming, replacing or removing the program's file changes nothing for those that run it."""
    web, other = _serving(box, stage.web, "serve"), _serving(box, stage.other, "serve")
    Path(stage.web).rename(stage.web + "-old")
    Path(stage.other).rename(stage.web)
    assert _ask(web, stage.secret) == "ok"
    assert _ask(other, stage.secret) == "EPERM"
    for process in (web, other):
        process.communicate(timeout=60)


@pytest.mark.parametrize("way", ["attach", "memory", "mem", "descriptor"])
def test_nobody_reaches_into_another_program(bench: Bench, box: Box, stage: Stage, way: str) -> None:
    """By ptrace, process_vm_readv, /proc/PID/mem, pidfd_getfd; into the same program one does; so without the rule."""
    web, other = _serving(box, stage.web, "serve"), _serving(box, stage.other, "serve")
    address = hex(_text_address(web))
    assert said(box, stage.other, way, str(web.pid), address) == ["EPERM" if way != "mem" else "EACCES"]
    assert said(box, stage.other, way, str(other.pid), address) == ["ok"]
    for process in (web, other):
        process.communicate(timeout=60)
    with bench.box(policy("  exec: {default: Allow}")) as free:
        web = _serving(free, stage.web, "serve")
        assert said(free, stage.other, way, str(web.pid), hex(_text_address(web))) == ["ok"]
        web.communicate(timeout=60)


def test_a_traced_program_is_not_itself(bench: Bench, box: Box, stage: Stage) -> None:
    """Whoever traces a program from its start decides what it does; a tracer of the same program changes nothing."""
    assert said(box, stage.other, "trace", stage.web, "read", stage.secret) == ["EPERM"]
    assert said(box, stage.other, "trace", stage.web, "read", stage.plain) == ["ok"]
    assert said(box, stage.web, "trace", stage.web, "read", stage.secret) == ["ok"]
    assert said(box, stage.web, "read", stage.secret) == ["ok"]


def test_a_traced_program_does_not_reach_into_one_that_is_not(box: Box, stage: Stage) -> None:
    """Nor does it lend its name to whoever traces it for getting at the others."""
    web = _serving(box, stage.web, "serve")
    assert said(box, stage.other, "trace", stage.web, "attach", str(web.pid)) == ["EPERM"]
    assert said(box, stage.web, "attach", str(web.pid)) == ["ok"]
    web.communicate(timeout=60)


def test_programs_that_are_older_than_the_rule_are_kept_apart(bench: Bench, stage: Stage) -> None:
    """One of which nothing is known yet is told by its file; in mode Audit it is only reported."""
    with bench.box(policy("  exec: {default: Allow}")) as box:
        web = _serving(box, stage.web, "serve")
        box.apply(stage.rules().replace("spec:", "spec:\n  mode: Audit"))
        assert said(box, stage.other, "attach", str(web.pid)) == ["ok"]
        assert [each["verdict"] for each in box.violations()] == ["WOULD_DENY"]
        box.apply(stage.rules())
        assert said(box, stage.other, "attach", str(web.pid)) == ["EPERM"]
        assert said(box, stage.web, "attach", str(web.pid)) == ["ok"]
        web.communicate(timeout=60)


def test_every_other_section_is_by_program_too(bench: Bench, stage: Stage) -> None:
    """The same word in other sections."""
    text = policy(f"""
  capabilities:
    rules: [{{action: Deny, names: [CHOWN], by: ["!{stage.web}"]}}]
  operations:
    rules: [{{action: Deny, names: [UserNamespace], by: ["!{stage.web}"]}}]
  network:
    sockets:
      rules: [{{action: Deny, families: [vsock, packet], by: ["{stage.other}"]}}]
  exec:
    rules: [{{action: Deny, paths: ["{stage.tool}"], by: ["{stage.other}"]}}]
""")
    with bench.box(text) as box:
        for way in ("namespace", "packets"):
            assert said(box, stage.web, way) == ["ok"]
            assert said(box, stage.other, way) == ["EPERM"]
        assert said(box, stage.web, "chown", stage.plain) == ["ok"]
        assert said(box, stage.other, "chown", stage.plain) == ["EPERM"]
        assert said(box, stage.other, "exec", stage.tool, "read", stage.plain) == ["EPERM"]
        assert said(box, stage.web, "exec", stage.tool, "read", stage.plain) == ["ok"]


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server outside the box that answers to TCP and UDP with what it is sent."""
    stream, datagram = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    number = stream.getsockname()[1]
    datagram.bind(("127.0.0.1", number))
    for answering in (lambda: _accept(stream), lambda: _answer(datagram)):
        threading.Thread(target=answering, daemon=True).start()
    yield number
    for each in (stream, datagram):
        with contextlib.suppress(OSError):  # a datagram socket is woken, though it is not connected
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def _accept(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            made, _ = server.accept()
            threading.Thread(target=_answer, args=(made,), daemon=True).start()


def _answer(made: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, peer = made.recvfrom(1)
            if not data:
                return
            made.sendto(data, peer) if peer else made.send(data)


def only_web_talks(stage: Stage, port: int, action: str = "Deny") -> str:
    """An egress rule about web, as an exception."""
    return policy(f"""
  network:
    egress:
      rules:
      - {{name: talk, action: {action}, to: [{{cidr: 127.0.0.0/8}}], ports: [{{port: {port}}},
         {{protocol: UDP, port: {port}}}], by: ["!{stage.web}"]}}
""")


@pytest.mark.parametrize("way", ["tcp", "udp"])
def test_egress_is_by_program(bench: Bench, stage: Stage, port: int, way: str) -> None:
    """At connect and when sending; the event names the program; without the rule everyone talks."""
    with bench.box(only_web_talks(stage, port)) as box:
        assert said(box, stage.web, way, str(port)) == ["ok"]
        assert box.violations() == []
        assert said(box, stage.other, way, str(port)) == ["EPERM"]
        violation = box.violations()[0]
        assert (violation["rule"], violation["verdict"]) == ("talk", "DENIED")
        assert violation["process"]["executable"] == stage.other
    with bench.box(only_web_talks(stage, port, action="Allow")) as box:
        assert said(box, stage.other, way, str(port)) == ["ok"]


def test_an_allow_list_of_programs(bench: Bench, stage: Stage, port: int) -> None:
    """default Deny, and one program that may talk: packets of it pass too."""
    text = policy(f"""
  network:
    egress:
      default: Deny
      rules: [{{action: Allow, by: ["{stage.web}"]}}]
""")
    with bench.box(text) as box:
        for way in ("tcp", "udp"):
            assert said(box, stage.web, way, str(port)) == ["ok"]
            assert said(box, stage.other, way, str(port)) == ["EPERM"]


def test_a_connection_is_used_by_who_may_make_it(bench: Bench, stage: Stage, port: int) -> None:
    """A program that may not connect does not send on a connection that it was left, either."""
    with bench.box(only_web_talks(stage, port)) as box:
        assert said(box, stage.web, "hand-over", str(port), stage.web) == ["ok", "ok"]
        assert said(box, stage.web, "hand-over", str(port), stage.other) == ["ok", "EPERM"]


def test_a_connection_lives_through_an_update(bench: Bench, stage: Stage, port: int) -> None:
    """Who uses it is known again under the new set, and judged by it; where that cannot be, it counts as unknown."""
    known = bench.instance.bundle.parameters.direct_file_path
    with bench.box(only_web_talks(stage, port)) as box:
        web = _serving(box, stage.web, "talk-on", str(port))
        box.apply(only_web_talks(stage, port), policy("  exec: {default: Audit}", name="q"))
        assert _ask(web, "") == ("ok" if known else "EPERM")
        box.apply(only_web_talks(stage, port).replace("!", ""))
        assert _ask(web, "") == "EPERM"
        web.communicate(timeout=60)


def _serving(box: Box, *argv: str) -> subprocess.Popen[str]:
    """A process of the box that acts when it is told."""
    process = box.start(*argv)
    assert process.stdout
    assert process.stdout.readline() == "ok\n"
    return process


def _ask(process: subprocess.Popen[str], path: str) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{path}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def _text_address(process: subprocess.Popen[str]) -> int:
    return int(Path(f"/proc/{process.pid}/maps").read_text().partition("-")[0], 16)
