"""What is aimed at: each aim is a line of a list, and says where its figure is found in the results. Pure.

Aims that are missed are shown as missed. Next step: `page` writes them as tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Any]
Measure = Callable[[Results], float]

POLICIES = ("policy_few", "policy_many", "policy_most")


def more(results: Results, situation: str, act: str) -> float:
    """Instructions that a situation adds to an act."""
    costs = results["instructions"]["costs"]
    return float(costs[situation][act] - costs["baseline"][act])


def under_policy(results: Results, act: str) -> list[float]:
    """The same under a small, a large and the largest policy."""
    return [more(results, policy, act) for policy in POLICIES]


def to(other: str, act: str, situations: Iterable[str] = POLICIES) -> Measure:
    """What an act costs, in what it costs in another situation: of several situations the worst."""
    return lambda results: max(more(results, each, act) for each in situations) / more(results, other, act)


def beyond(other: str, act: str) -> Measure:
    """Instructions that a policy adds to an act beyond what another situation does."""
    return lambda results: max(under_policy(results, act)) - more(results, other, act)


def spread(act: str) -> Measure:
    """The dearest policy to the cheapest."""
    return lambda results: max(under_policy(results, act)) / min(under_policy(results, act))


def exec_alone(results: Results) -> float:
    """What fork and exec add, less what fork and exit add."""
    return max(more(results, each, "exec") - more(results, each, "fork") for each in POLICIES)


def at(*keys: str, factor: float = 1.0) -> Measure:
    """A figure of the results, in another unit perhaps."""

    def found(results: Results) -> float:
        value: Any = results
        for key in keys:
            value = value[key]
        return float(value) * factor

    return found


def load_s(results: Results) -> float:
    """Seconds to find the bundle and load it."""
    return float(results["operation"]["load"]["bundle_s"] + results["operation"]["load"]["load_s"])


def kernel_bytes(memory: Mapping[str, Any]) -> float:
    """What the kernel takes for so many containers under so many sets; what a set adds is with its first container."""
    others = memory["containers"] - memory["sets"]
    return float(memory["maps"] + memory["sets"] * memory["set"] + others * memory["container"])


@dataclass(frozen=True)
class Aim:
    """What is measured, how it is written, and what it should be at most or at least; neither: it is only told."""

    what: str
    measure: Measure
    shown: str
    most: float | Measure | None = None
    least: float | None = None

    def row(self, results: Results) -> tuple[str, str, str, str]:
        """What, measured, aim, and whether it is met."""
        value = self.measure(results)
        most = self.most(results) if callable(self.most) else self.most
        if most is not None:
            return (self.what, self.shown.format(value), f"≤ {self.shown.format(most)}", met(value <= most))
        if self.least is not None:
            return (self.what, self.shown.format(value), f"≥ {self.shown.format(self.least)}", met(value >= self.least))
        return (self.what, self.shown.format(value), "", "")


@dataclass(frozen=True)
class Tail:
    """A time that was taken often, in milliseconds: median and 99th percentile, of which the latter has an aim."""

    what: str
    keys: tuple[str, ...]
    most: float | None = None

    def row(self, results: Results) -> tuple[str, ...]:
        """What, median, 99th percentile, aim, and whether it is met."""
        _, median, _, _ = Aim(self.what, at(*self.keys, "median_ms"), MILLISECONDS).row(results)
        return (self.what, median, *Aim(self.what, at(*self.keys, "p99_ms"), MILLISECONDS, self.most).row(results)[1:])


def met(good: bool) -> str:
    """Whether an aim is met."""
    return "met" if good else "**missed**"


RATIO, ADDED, SECONDS = "{:.2f}", "{:+,.0f}", "{:.2f} s"
MILLISECONDS, TENTHS, MEBIBYTES, MEGABYTES = "{:,.0f} ms", "{:.1f} s", "{:,.0f} MiB", "{:.0f} MB"

COUNTED = (
    Aim("open+close without policy, to the empty program", to("empty_file_open", "open", ["no_policy"]), RATIO, 1.5),
    Aim("open+close remembered, to AppArmor", to("apparmor", "open"), RATIO, 0.28),
    Aim("the same of 10, 1,000 and 10,000 rules, most to least", spread("open"), RATIO, 1.05),
    Aim("the first open of a file, a name of 8 bytes, to AppArmor", to("apparmor", "each"), RATIO, 0.7),
    Aim("the same, a name of 32 bytes", to("apparmor", "long"), RATIO, 1.0),
    Aim("the same, ten directories unknown", to("apparmor", "deep"), RATIO, 3.0),
    Aim(
        "a denied open, its event written",
        lambda results: max(under_policy(results, "denied")),
        ADDED,
        lambda results: 2 * max(under_policy(results, "open")) + 600,
    ),
    Aim("create+unlink, to AppArmor", to("apparmor", "create"), RATIO, 0.6),
    Aim("rename, to AppArmor", to("apparmor", "rename"), RATIO, 0.6),
    Aim("chmod, to AppArmor", to("apparmor", "chmod"), RATIO, 0.6),
    Aim("pread, beyond empty programs; up to 5 are chance", beyond("empty_all", "pread"), ADDED, 5),
    Aim("pwrite, the same", beyond("empty_all", "pwrite"), ADDED, 5),
    Aim("a capability check, to the empty program", to("empty_all", "capable"), RATIO, 1.6),
    Aim("exec: vfork+exec less vfork+exit", exec_alone, ADDED, 2_500),
    Aim(
        "load all programs, on one processor at one instruction a nanosecond",
        at("instructions", "costs", "loading", "load", factor=1e-9),
        SECONDS,
        1.0,
    ),
)

KEPT = (
    Aim(
        "1,000 containers under 20 sets",
        lambda results: kernel_bytes(results["kernel_memory"]) / 1e6,
        "{:.1f} MB",
        40.0,
    ),
)

TIMED = (
    Aim("find the bundle and load it, in the emulated machine", load_s, SECONDS, 1.0),
    Aim(
        "write a set of 1,000 rules into the kernel's maps",
        at("building", "1000", "store_s", factor=1e3),
        "{:.0f} ms",
        50.0,
    ),
    Aim("build the automaton of 1,000 rules", at("building", "1000", "lower_s"), SECONDS, 1.0),
    Aim("build the automaton of 10,000 rules", at("building", "10000", "lower_s"), SECONDS, 10.0),
    Aim("compile for a kernel, on the machine itself", at("compile_s"), SECONDS),
    Aim(
        "violations a second, spool to store over mTLS",
        at("throughput", "violations_per_s"),
        "{:,.0f}",
        least=200_000,
    ),
    Aim("memory of the agent, at most", at("operation", "agent_after", "VmHWM"), "{:.0f} MiB", 90.0),
    Aim("libraries of LLVM mapped in the agent", at("operation", "agent_after", "llvm_mapped"), "{:.0f}", 0.0),
)


def of_cluster(what: str, *keys: str) -> Aim:
    """Seconds of a cluster, which are only told."""
    return Aim(what, at("cluster", *keys), TENTHS)


CLUSTER = (
    of_cluster("`helm install` to agent and collector ready", "install_to_ready_s"),
    of_cluster("`helm install` to the first denial seen, a policy applied between", "install_to_denial_s"),
    of_cluster("`kubectl apply` of a policy until it has returned", "policy", "created_s"),
    of_cluster("the same until the agent has accepted it", "policy", "accepted_s"),
    of_cluster("the same until it is in force on a container", "policy", "in_force_s"),
    of_cluster("the same until NodeState says so", "policy", "told_s"),
    of_cluster("agent's process to enforcing, programs compiled before", "warm_s"),
    of_cluster("agent's process to enforcing, programs to be compiled", "cold_s"),
    Aim("agent at rest, resident", at("cluster", "memory", "agent_mib"), MEBIBYTES),
    Aim("collector at rest, resident", at("cluster", "memory", "collector_mib"), MEBIBYTES),
    Aim("image of the agent, unpacked", at("cluster", "image_bytes", "agent", factor=1e-6), MEGABYTES, 450),
    Aim("image of the collector, unpacked", at("cluster", "image_bytes", "collector", factor=1e-6), MEGABYTES, 150),
)

CHANGES = (
    Tail("a policy until the API server has written it", ("cluster", "changes", "written")),
    Tail("the same until the agent has accepted it", ("cluster", "changes", "accepted")),
    Tail("from accepted to in force on a container", ("cluster", "changes", "applied"), 100),
    Tail("all of it, until it is in force on a container", ("cluster", "changes", "policy"), 500),
    Tail("a pod's label until its policies are in force", ("cluster", "changes", "label"), 500),
)

SCALE = (
    Aim("write all policies, eight at once", at("scale", "policies_written_s"), TENTHS),
    Aim("write all NodeStates, as agents do, eight at once", at("scale", "nodes_written_s"), TENTHS),
    Aim("API server, resident, before all that", at("scale", "server_empty_mib"), MEBIBYTES),
    Aim("the same with all of it", at("scale", "server_mib"), MEBIBYTES),
    Aim("the same with the watches of those agents", at("scale", "server_with_watches_mib"), MEBIBYTES),
    Aim("the same with a controller that watches", at("scale", "server_with_controller_mib"), MEBIBYTES),
    Aim("etcd, resident", at("scale", "store_mib"), MEBIBYTES),
    Aim("controller's start until it and the API server rest", at("scale", "controller_settled_s"), TENTHS),
    Aim("controller, resident", at("scale", "controller_mib"), MEBIBYTES),
    Aim(
        "requests a second about our objects and leases, when nothing changes",
        at("scale", "idle_requests_a_second"),
        "{:.2f}",
    ),
)

AGENT = (
    Aim(
        "an agent that knows nothing: start until it knows all, of the processor",
        at("scale", "agent", "first", "cpu_s"),
        TENTHS,
    ),
    Aim("one that comes back: the same", at("scale", "agent", "again", "cpu_s"), TENTHS),
    Aim("the same by the clock", at("scale", "agent", "again", "known_s"), TENTHS),
    Aim("its selections for 1,000 containers", at("scale", "agent", "again", "selected", "took_s"), TENTHS),
    Aim(
        "a policy changed until that is in its selections: median",
        at("scale", "agent", "policy", "median_s"),
        TENTHS,
    ),
    Aim("the same at most", at("scale", "agent", "policy", "most_s"), TENTHS),
    Aim(
        "a pod's label changed until that is in its selections: median",
        at("scale", "agent", "label", "median_s"),
        TENTHS,
    ),
    Aim("the same at most", at("scale", "agent", "label", "most_s"), TENTHS),
    Aim("resident, but for what enforces", at("scale", "agent", "again", "mib"), MEBIBYTES, 150),
    Aim(
        "requests a second of 5,000 agents that hear nothing new",
        at("scale", "watches", "requests_a_second"),
        "{:.2f}",
        20,
    ),
)


def of_starts(node: str, where: str) -> tuple[Aim, ...]:
    """Of containers on a node: the middle of what a start takes without the agent, and what it adds."""

    def taken(when: str, how_many: str = "median_ms") -> Measure:
        return at("full_node", node, when, how_many)

    return (
        Aim(f"create and start a container {where}, the agent not asked: median", taken("unasked"), MILLISECONDS),
        Aim("added where the agent is asked: median", taken("added"), MILLISECONDS, 20),
        Aim("the same: 99th percentile", taken("added", "p99_ms"), MILLISECONDS),
    )


STARTS = (*of_starts("starts_alone", "on an empty node"), *of_starts("starts_full", "beside 1,000 others"))

FULL_NODE = (
    Tail("a policy of one container until the API server has written it", ("full_node", "one", "written")),
    Tail("the same until the agent has accepted it", ("full_node", "one", "accepted")),
    Tail("the same until it is in force", ("full_node", "one", "policy"), 500),
    Tail("a policy of all containers until the agent has accepted it", ("full_node", "all", "accepted")),
    Tail("the same until it is in force on the first", ("full_node", "all", "first")),
    Tail("the same until it is in force on all", ("full_node", "all", "policy")),
)

FULL_NODE_MEMORY = (
    Aim("agent, resident, before there are pods", at("full_node", "empty", "mib"), MEBIBYTES),
    Aim("the same with all containers under their sets", at("full_node", "full", "mib"), MEBIBYTES),
    Aim("the same after all those changes", at("full_node", "changed_mib"), MEBIBYTES),
    Aim("maps in the kernel, before there are pods", at("full_node", "empty", "map_bytes", factor=1e-6), "{:.1f} MB"),
    Aim("the same with 1,000 sets", at("full_node", "full", "map_bytes", factor=1e-6), "{:.1f} MB"),
    Aim(
        "agent's share of a processor there, when nothing changes",
        at("full_node", "rest_share", factor=100),
        "{:.0f} %",
    ),
)
