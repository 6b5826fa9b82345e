"""A policy is replaced whole: no access is judged by a mixture or by nothing, and what began before is judged as said.

`BULKHEAD_UPDATES=1000` replaces the policy so many times; without it 50, because the guest is emulated.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from bulkhead.node.container import Container
from tests.kernel.enforcement.box import Bench, Box, policy, rules_of
from tests.kernel.enforcement.programs import compiled

UPDATES = int(os.environ.get("BULKHEAD_UPDATES", "50"))
UPDATE_S = 10  # no more than each takes on a busy machine
KINDS = 5


def agreeing(number: int, secret: Path) -> str:
    """Policies of different size, states and outcomes that agree on the secret, and on everything beside it."""
    others = "\n".join(
        f'    - {{name: other{n}, action: {action}, operations: [Read], paths: ["/other/{number}/{n}/**"]}}'
        for n, action in islice(enumerate(cycle(["Deny", "Audit", "Allow", "Kill"])), number * 3)
    )
    return policy(f"""
  files:
    rules:
    - {{name: r, action: Deny, operations: [Read], paths: ["{secret}"]}}
{others}
""")


def test_no_update_brings_a_wrong_verdict(bench: Bench, tmp_path: Path) -> None:
    """A forbidden and a permitted file are opened on two processors while sets that agree on both are exchanged."""
    secret, free, stop = tmp_path / "secret", tmp_path / "free", tmp_path / "stop"
    for path in (secret, free):
        path.write_text("x")
    sets = [rules_of(agreeing(number, secret)) for number in range(KINDS)]
    with bench.box(agreeing(0, secret)) as box, ThreadPoolExecutor(1) as pool:
        container = Container(box.cgroup.path.name, box.cgroup.path, box.cgroup.id, pid=os.getpid())
        running = pool.submit(
            box.run, str(compiled("hammer")), str(free), str(secret), str(stop), timeout_s=UPDATE_S * UPDATES
        )
        try:
            for number in range(1, UPDATES + 1):
                assert bench.enforcer.enforce(container, sets[number % KINDS])
        finally:
            stop.touch()
        done = running.result(60)
    counts = [tuple(map(int, line.split())) for line in done.out.splitlines()]
    assert (done.status, len(counts)) == (0, 2), done
    assert [wrong for _, wrong in counts] == [0, 0]
    assert all(tries > UPDATES for tries, _ in counts), counts


HOLDER = """
import mmap, os, sys
path, go, there, program = sys.argv[1:]
held = os.open(path, os.O_RDWR)
mapped = mmap.mmap(held, 0)
handle = os.open(path, os.O_PATH)
with open(there, "w") as file: file.write("x")
with open(go) as file: file.read()

def tried(act):
    try: act()
    except PermissionError: return "denied"
    return "done"

def child(program):
    pid = os.posix_spawn(program, [program], os.environ)
    if os.waitpid(pid, 0)[1]: raise PermissionError

def map_again(): mmap.mmap(held, 0, prot=mmap.PROT_READ)

print("read", tried(lambda: os.pread(held, 1, 0)))
print("write", tried(lambda: os.pwrite(held, b"y", 0)))
print("mapped", tried(lambda: mapped.__setitem__(0, ord("z"))))
print("map-again", tried(map_again))
print("open", tried(lambda: os.open(path, os.O_RDONLY)))
print("open-by-fd", tried(lambda: os.open(f"/proc/self/fd/{held}", os.O_RDONLY)))
print("open-by-handle", tried(lambda: os.open(f"/proc/self/fd/{handle}", os.O_RDONLY)))
print("program", tried(lambda: child(program)))
"""
LENIENT = policy("  files: {default: Allow}")
OPEN_STAYS = ["read", "write", "mapped", "map-again"]
JUDGED_ANEW = ["open", "open-by-fd", "open-by-handle", "program"]


def stricter(path: Path) -> str:
    """Nothing may be done to the file any more, nor `true` be run."""
    return policy(f"""
  exec:
    rules: [{{name: no-true, action: Deny, paths: ["/usr/bin/true"]}}]
  files:
    rules: [{{name: r, action: Deny, operations: [Read, Write, Create], paths: ["{path}"]}}]
""")


def outcome(box: Box, path: Path, then: str) -> dict[str, str]:
    """What a process that holds a file may do once the policy `then` has replaced the one that it began under."""
    go, there = path.parent / "go", path.parent / "there"
    for fifo in (go, there):
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo)
    with ThreadPoolExecutor(1) as pool:
        arguments = [str(path), str(go), str(there), "/usr/bin/true"]
        running = pool.submit(box.run, "python3", "-S", "-c", HOLDER, *arguments)
        assert there.read_text() == "x"
        box.apply(then)
        go.write_text("x")
        done = running.result(120)
    assert done.status == 0, done
    return dict(line.split() for line in done.out.splitlines())


def test_what_is_open_stays_open_and_everything_else_is_judged_anew(bench: Bench, tmp_path: Path) -> None:
    """As the reference says under "When it holds"; after another policy that is no stricter, all goes on."""
    path = tmp_path / "file"
    path.write_text("text")
    with bench.box(LENIENT) as box:
        found = outcome(box, path, stricter(path))
        assert found == dict.fromkeys(OPEN_STAYS, "done") | dict.fromkeys(JUDGED_ANEW, "denied")
    with bench.box(LENIENT) as box:
        found = outcome(box, path, stricter(tmp_path / "elsewhere").replace("/usr/bin/true", "/usr/bin/nothing"))
        assert found == dict.fromkeys([*OPEN_STAYS, *JUDGED_ANEW], "done")
    assert path.read_text() == "zext"
