"""Policy sets lowered beside the agent: what is large, or may explode, in a process of its own, one after the other.

Lowering 10,000 rules takes seconds and 250 MB. The agent meanwhile goes on enforcing on other containers, reading
records and delivering them; whoever asks for such a set gets `StillBuilding` and asks again. The process may use so
much memory and time and no more, and is the first that the kernel ends where a node has no memory left: its set is then
refused, and the agent goes on. Images that were asked for lately are kept, so that containers of one workload share the
work, and a set that was refused is not built again for each of them. Next step: `policy.lower`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bulkhead.errors import BulkheadError, DoesNotFit, NotEnforceable, StillBuilding
from bulkhead.policy.image import SetImage
from bulkhead.policy.lower import digest_of, lower
from bulkhead.policy.merge import PolicySet
from bulkhead.policy.rules import Default, NetworkRule, PathRule

MEMORY_BYTES = 768 << 20  # address space: three times what a set of 10,000 rules takes
TIME_S = 300  # a hundred times what it takes; an emulated machine is thirty times slower
KEPT_SLOTS = 1 << 20  # of automata: 8 MiB
KEPT = 64

# Up to these a set is lowered at once, in tens of milliseconds. A wildcard may double the number of states, but not one
# at the end of a pattern.
_AT_ONCE_RULES = 100
_AT_ONCE_WILDCARDS = 12
_AT_ONCE_PEERS = 1_000

StartGroups = tuple[frozenset[bytes], ...]
Build = Callable[[PolicySet, StartGroups, bool], SetImage]
"""As `policy.lower.lower`. With True the image is waited for; else `StillBuilding` may be raised."""


def build_at_once(policy_set: PolicySet, groups: StartGroups, wait: bool) -> SetImage:
    """A `Build` for who has nothing else to do."""
    del wait
    return lower(policy_set, groups)


@dataclass
class _Job:
    """A set that is being built, or has been: `answer` is there once `ended` is set."""

    ended: threading.Event = field(default_factory=threading.Event)
    answer: SetImage | BulkheadError | None = None

    def end(self, build: Callable[[], SetImage]) -> None:
        """Build it."""
        try:
            self.answer = build()
        except BulkheadError as error:
            self.answer = error
        finally:
            self.ended.set()


class Workshop:
    """Builds images; one thread asks."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, _Job] = OrderedDict()  # by digest, the one asked for last at the end
        self._one_at_a_time = threading.Lock()

    def image(self, policy_set: PolicySet, groups: StartGroups, wait: bool = False) -> SetImage:
        """A `Build`. Raises `StillBuilding`, or what building ended with: `DoesNotFit`, `NotEnforceable`.

        What does not fit now will not later, so it is not tried again while it is kept.
        """
        digest = digest_of(policy_set, groups)
        job = self._jobs.get(digest)
        if job is None:
            job = self._jobs[digest] = self._begin(policy_set, groups)
        self._jobs.move_to_end(digest)
        if not job.ended.wait(None if wait else 0):
            raise StillBuilding(len(policy_set.statements), job.ended)
        if not isinstance(job.answer, SetImage | DoesNotFit):
            del self._jobs[digest]
        self._forget_old()
        if isinstance(job.answer, SetImage):
            return job.answer
        assert job.answer is not None
        raise job.answer

    def _begin(self, policy_set: PolicySet, groups: StartGroups) -> _Job:
        job = _Job()
        if is_quick(policy_set):
            job.end(lambda: lower(policy_set, groups))
        else:
            threading.Thread(target=self._build, args=(job, policy_set, groups), name="building", daemon=True).start()
        return job

    def _build(self, job: _Job, policy_set: PolicySet, groups: StartGroups) -> None:
        with self._one_at_a_time:
            job.end(lambda: build_apart(policy_set, groups))

    def _forget_old(self) -> None:
        """The images that were asked for last stay, as many as the limits allow, and the last one in any case."""
        kept = slots = 0
        for digest, job in reversed(list(self._jobs.items())):
            kept += job.ended.is_set()
            slots += len(job.answer.automaton.slots) if isinstance(job.answer, SetImage) else 0
            if job.ended.is_set() and kept > 1 and (kept > KEPT or slots > KEPT_SLOTS):
                del self._jobs[digest]


def is_quick(policy_set: PolicySet) -> bool:
    """Whether lowering a set takes tens of milliseconds whatever is in it."""
    wildcards = peers = 0
    for statement in policy_set.statements:
        if not isinstance(statement, Default):
            wildcards += _wildcards(statement.programs.by) + _wildcards(statement.programs.unless)
        if isinstance(statement, PathRule):
            wildcards += _wildcards(statement.patterns)
        elif isinstance(statement, NetworkRule):
            peers += sum(1 + len(peer.excluded) for peer in statement.peers)
    rules = len(policy_set.statements)
    return rules <= _AT_ONCE_RULES and wildcards <= _AT_ONCE_WILDCARDS and peers <= _AT_ONCE_PEERS


def _wildcards(patterns: Iterable[str]) -> int:
    """Those that may multiply states."""
    within = [pattern.rstrip("*").replace("**", "*") for pattern in patterns]
    return sum(pattern.count("*") + pattern.count("?") for pattern in within)


def build_apart(policy_set: PolicySet, groups: StartGroups) -> SetImage:
    """As `policy.lower.lower`, in another process. Raises `NotEnforceable` where that comes to no end."""
    command = [sys.executable, "-m", "bulkhead.enforcement.building"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    asked = pickle.dumps((policy_set, groups))
    what = f"building a policy set of {len(policy_set.statements)} rules"
    try:
        done = subprocess.run(command, input=asked, capture_output=True, check=False, timeout=TIME_S, env=environment)
    except subprocess.TimeoutExpired:
        raise NotEnforceable(f"{what} took over {TIME_S} s and was ended; what was enforced goes on") from None
    except OSError as error:
        raise NotEnforceable(f"{what} could not begin: {error.strerror}; what was enforced goes on") from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"status {done.returncode}"
        raise NotEnforceable(f"{what} failed: {reason}; what was enforced goes on")
    answer = pickle.loads(done.stdout)
    if isinstance(answer, SetImage):
        return answer
    raise DoesNotFit(*answer)


def _be_modest() -> None:
    """Bound what this process may take, and let others go first."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.nice(10)
    with contextlib.suppress(OSError):  # where /proc cannot be written, the node's memory is all that is at stake
        Path("/proc/self/oom_score_adj").write_text("1000")


def main() -> None:
    """Lower the set on standard input; its image, or the arguments of `DoesNotFit`, to standard output."""
    _be_modest()
    policy_set, groups = pickle.load(sys.stdin.buffer)
    answer: SetImage | tuple[str, int, int]
    try:
        answer = lower(policy_set, groups)
    except DoesNotFit as error:
        answer = (error.what, error.needed, error.limit)
    except (MemoryError, SystemError):  # the latter where an extension in C did not notice that it got no memory
        answer = ("bytes of memory for building one policy set", MEMORY_BYTES + 1, MEMORY_BYTES)
    pickle.dump(answer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
