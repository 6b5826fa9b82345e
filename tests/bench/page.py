"""docs/benchmarks.md: its measured part, between two marks, is written from the results. Pure.

Each figure stands beside its aim, and says itself where it misses it. Next step: `__main__` measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

BEGIN = "<!-- measured: written by `make bench`, do not edit -->"
END = "<!-- end of what was measured -->"

ROWS = {
    "empty_file_open": "an empty LSM program on file_open",
    "empty_all": "empty LSM programs on all hooks that ours are on",
    "no_policy": "ours, in a cgroup without policy",
    "policy_few": "ours, under a policy with 10 file rules",
    "policy_many": "ours, under a policy with 1,000 file rules",
    "policy_changed": "the same, of files that another policy's memory is on",
    "apparmor": "AppArmor, confined by the profile of 10 file rules",
}
COLUMNS = {
    "open": "open+close, remembered",
    "each": "first time, directory known",
    "again": "second time",
    "deep": "first time, 4 directories unknown",
    "pread": "pread",
    "capable": "capable",
    "connect": "TCP connect",
    "exec": "vfork+exec",
}
NO_POLICY_AIM, REMEMBERED_AIM, FIRST_AIM = 1.5, 0.35, 0.7
IMAGE_AIMS_MB = {"agent": 450, "collector": 150}
RULE_BYTES_AIM = 500
STORE_AIM_S = 0.05
BUILD_AIMS_S = {"1000": 1.0, "10000": 10.0}
LOAD_AIM_S, THROUGHPUT_AIM, MEMORY_AIM_MIB = 1.0, 200_000, 90


def rewritten(document: str, measured: str) -> str:
    """The document with its measured part replaced. ValueError where it has no marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has lost the marks between which figures are written")
    return f"{before}{BEGIN}\n\n{measured}\n{END}{after}"


def measured_part(results: Mapping[str, Any]) -> str:
    """Everything that was measured. `results` has the keys date, command, machine, instructions, operation, ..."""
    instructions, operation = results["instructions"], results["operation"]
    throughput = {key: value for key, value in results["throughput"].items() if key != "other_load"}
    parts = [
        f"Measured on {results['date']} by `{results['command']}`, kernel {instructions['kernel']}, "
        f"machine: {results['machine']}.",
        "### Instructions added",
        instruction_table(instructions["costs"]),
        "### Aims",
        table(("what", "measured", "aim", ""), aims(results)),
        "### Latency and memory",
        f"The machine's load average before the guest started was {operation['other_load']:.1f}; over 0.5, seconds and "
        "milliseconds are too long, tails and the time to load most of all.",
        latency_table(operation),
        "### From spool to store",
        f"The machine's load average before was {results['throughput']['other_load']:.1f}.",
        table(("what", "measured"), ((f"`{key}`", number(value)) for key, value in throughput.items())),
        "### A policy of many rules",
        f"The machine's load average before was {results['building']['other_load']:.1f}; times are of the processor.",
        building_table(results["building"]),
        "### In a cluster",
        f"The machine's load average before the cluster was started was {results['cluster']['other_load']:.1f}. The "
        "node is emulated; kubectl, Helm and the control plane are not.",
        table(("what", "measured", "aim", ""), cluster_rows(results["cluster"])),
        *scale_parts(results["scale"]),
        "### Footprint in the kernel",
        footprint_table(operation),
    ]
    return "\n\n".join(parts) + "\n"


def instruction_table(costs: Mapping[str, Mapping[str, float]]) -> str:
    """What each situation adds to each act; the first row is the act itself."""
    base = costs["baseline"]
    rows = [("nothing loaded (absolute)", *(number(base[act]) for act in COLUMNS))]
    for key, text in ROWS.items():
        rows.append((text, *(added(costs[key][act] - base[act]) if act in costs[key] else "" for act in COLUMNS)))
    return table(("", *COLUMNS.values()), rows)


def aims(results: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Each aim: what, measured, aim, and whether it is met."""
    costs, operation = results["instructions"]["costs"], results["operation"]
    throughput = results["throughput"]

    def more(situation: str, act: str = "open") -> float:
        return float(costs[situation][act] - costs["baseline"][act])

    unpoliced = more("no_policy") / more("empty_file_open")
    remembered = max(more("policy_few"), more("policy_many")) / more("apparmor")
    first = max(more("policy_few", "each"), more("policy_many", "each")) / more("apparmor", "each")
    load_s = operation["load"]["bundle_s"] + operation["load"]["load_s"]
    memory = operation["agent_after"]["VmHWM"]
    mapped = operation["agent_after"]["llvm_mapped"]
    rate = throughput["violations_per_s"]
    return [
        (
            "open+close without policy, to the empty program",
            f"{unpoliced:.2f}",
            f"≤ {NO_POLICY_AIM}",
            met(unpoliced <= NO_POLICY_AIM),
        ),
        (
            "open+close remembered, to AppArmor",
            f"{remembered:.2f}",
            f"≤ {REMEMBERED_AIM}",
            met(remembered <= REMEMBERED_AIM),
        ),
        ("the first open of a file, to AppArmor", f"{first:.2f}", f"≤ {FIRST_AIM}", met(first <= FIRST_AIM)),
        (
            "find the bundle and load it, in the emulated machine",
            f"{load_s:.2f} s",
            f"≤ {LOAD_AIM_S:g} s",
            met(load_s <= LOAD_AIM_S),
        ),
        (
            "the same, counted on one processor, at one instruction a nanosecond",
            f"{costs['loading']['load'] / 1e9:.2f} s",
            f"≤ {LOAD_AIM_S:g} s",
            met(costs["loading"]["load"] / 1e9 <= LOAD_AIM_S),
        ),
        (
            "write a set of 1,000 rules into the kernel's maps",
            f"{results['building']['1000']['store_s'] * 1000:.0f} ms",
            f"≤ {STORE_AIM_S * 1000:g} ms",
            met(results["building"]["1000"]["store_s"] <= STORE_AIM_S),
        ),
        *(
            (
                f"build the automaton of {int(count):,} rules",
                f"{results['building'][count]['lower_s']:.2f} s",
                f"≤ {aim:g} s",
                met(results["building"][count]["lower_s"] <= aim),
            )
            for count, aim in BUILD_AIMS_S.items()
        ),
        ("compile for a kernel, on the machine itself", f"{results['compile_s']:.2f} s", "", ""),
        ("violations a second, spool to store over mTLS", number(rate), "≥ 200,000", met(rate >= THROUGHPUT_AIM)),
        ("memory of the agent, at most", f"{memory:.0f} MiB", f"≤ {MEMORY_AIM_MIB} MiB", met(memory <= MEMORY_AIM_MIB)),
        ("LLVM mapped in the agent", "yes" if mapped else "no", "no", met(not mapped)),
    ]


def latency_table(operation: Mapping[str, Any]) -> str:
    """Denial to line, and memory at rest and afterwards."""
    latency, rest, after = operation["latency_ms"], operation["agent_at_rest"], operation["agent_after"]
    rows = [
        ("denied open to the subscriber's line: median", f"{latency['median']:.1f} ms"),
        ("the same: 99th percentile", f"{latency['p99']:.1f} ms"),
        ("the same: least, most", f"{latency['least']:.1f} ms, {latency['most']:.1f} ms"),
        ("agent at rest: resident, of that its own", f"{rest['VmRSS']:.0f} MiB, {rest['RssAnon']:.0f} MiB"),
        ("agent after 100 violations: resident, most", f"{after['VmRSS']:.0f} MiB, {after['VmHWM']:.0f} MiB"),
        ("seconds to find the bundle", f"{operation['load']['bundle_s']:.2f}"),
        ("seconds to load and attach", f"{operation['load']['load_s']:.2f}"),
    ]
    return table(("what", "in the emulated machine"), rows)


def building_table(building: Mapping[str, Any]) -> str:
    """Stage by stage, each number of rules a column; the aims are of 1,000 and 10,000 rules."""
    counts = [key for key in building if key != "other_load"]
    stages = {
        "parse_s": "read and check the document",
        "merge_s": "resolve and merge",
        "lower_s": "build the automaton",
    }
    stages["store_s"] = "write all of it into the kernel's maps"

    def row(text: str, shown: Callable[[Mapping[str, float]], str]) -> tuple[str, ...]:
        return (text, *(shown(building[count]) for count in counts))

    rows = [row(text, lambda each, stage=stage: f"{each[stage]:.3f} s") for stage, text in stages.items()]
    rows.append(row("all of it", lambda each: f"{sum(each[stage] for stage in stages):.2f} s"))
    rows.append(
        row(f"arena, bytes a rule (≤ {RULE_BYTES_AIM})", lambda each: number(float(round(each["bytes_a_rule"]))))
    )
    rows.append(row("different outcomes", lambda each: number(each["outcomes"])))
    rows.append(row("memory of the process at most", lambda each: f"{each['peak_mib']:.0f} MiB"))
    return table(("", *(f"{int(count):,} rules" for count in counts)), rows)


def cluster_rows(cluster: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Times, memory and images."""
    policy, memory = cluster["policy"], cluster["memory"]
    rows = [
        ("`helm install` to agent and collector ready", seconds(cluster["install_to_ready_s"]), "", ""),
        (
            "`helm install` to the first denial seen, a policy applied between",
            seconds(cluster["install_to_denial_s"]),
            "",
            "",
        ),
        ("`kubectl apply` of a policy until it has returned", seconds(policy["created_s"]), "", ""),
        ("the same until the agent has accepted it", seconds(policy["accepted_s"]), "", ""),
        ("the same until it is in force on a container", seconds(policy["in_force_s"]), "", ""),
        ("the same until NodeState says so", seconds(policy["told_s"]), "", ""),
        ("agent's process to enforcing, programs compiled before", seconds(cluster["warm_s"]), "", ""),
        ("agent's process to enforcing, programs to be compiled", seconds(cluster["cold_s"]), "", ""),
        ("agent at rest, resident", f"{memory['agent_mib']:.0f} MiB", "", ""),
        ("collector at rest, resident", f"{memory['collector_mib']:.0f} MiB", "", ""),
    ]
    for name, aim in IMAGE_AIMS_MB.items():
        size = cluster["image_bytes"][name] / 1e6
        rows.append((f"image of the {name}, unpacked", f"{size:.0f} MB", f"≤ {aim} MB", met(size <= aim)))
    return rows


def agent_rows(scale: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What one agent takes of all that, and the watches of all."""
    first, again, watches = scale["agent"]["first"], scale["agent"]["again"], scale["watches"]
    rate, memory = watches["requests_a_second"], again["mib"]
    rows = [
        ("an agent that knows nothing: start until it knows all, of the processor", seconds(first["cpu_s"])),
        ("one that comes back: the same", seconds(again["cpu_s"])),
        ("the same by the clock", seconds(again["known_s"])),
        ("its selections for 1,000 containers", seconds(again["selected"]["took_s"])),
    ]
    for what, name in (("a policy", "policy"), ("a pod's label", "label")):
        found = scale["agent"][name]
        rows.append((f"{what} changed until that is in its selections: median", seconds(found["median_s"])))
        rows.append(("the same at most", seconds(found["most_s"])))
    return [
        *((*row, "", "") for row in rows),
        ("resident, but for what enforces", mib(memory), "≤ 150 MiB", met(memory <= 150)),
        (
            f"requests a second of {watches['for_nodes']:,} agents that hear nothing new, from {watches['agents']}",
            number(rate), "≤ 20", met(rate <= 20),
        ),
    ]  # fmt: skip


def scale_parts(scale: Mapping[str, Any]) -> list[str]:
    """What thousands of nodes and policies cost."""
    rows = [
        ("write all policies, eight at once", seconds(scale["policies_written_s"])),
        ("write all NodeStates, as agents do, eight at once", seconds(scale["nodes_written_s"])),
        ("API server, resident, before all that", mib(scale["server_empty_mib"])),
        ("the same with all of it", mib(scale["server_mib"])),
        (f"the same with the watches of {scale['watches']['agents']} agents", mib(scale["server_with_watches_mib"])),
        ("the same with a controller that watches", mib(scale["server_with_controller_mib"])),
        ("etcd, resident", mib(scale["store_mib"])),
        ("controller's start until it and the API server rest", seconds(scale["controller_settled_s"])),
        ("controller, resident", mib(scale["controller_mib"])),
        (
            "requests a second about our objects and leases, when nothing changes",
            number(scale["idle_requests_a_second"]),
        ),
    ]
    return [
        "### Many nodes and policies",
        f"{scale['nodes']:,} NodeStates of twenty policies each, {scale['policies']:,} policies of ten rules each, "
        f"a real API server and no node. The machine's load average before was {scale['other_load']:.1f}.",
        table(("what", "measured", "aim", ""), [*((*row, "", "") for row in rows), *agent_rows(scale)]),
    ]


def mib(value: float) -> str:
    """Memory."""
    return f"{value:,.0f} MiB"


def seconds(value: float) -> str:
    """A time."""
    return f"{value:.1f} s"


def footprint_table(operation: Mapping[str, Any]) -> str:
    """Programs, then maps."""
    programs = [
        (f"`{name}`", *(number(each[key]) for key in ("instructions", "verified", "jited_bytes")))
        for name, each in operation["programs"].items()
    ]
    total = sum(each["jited_bytes"] for each in operation["programs"].values())
    programs.append(("all", "", "", number(total)))
    sizes = sorted(operation["map_bytes"].items(), key=lambda item: -item[1])
    maps = [(f"`{name}`", number(size / 1024)) for name, size in sizes]
    maps.append(("all", number(sum(operation["map_bytes"].values()) / 1024)))
    heads = ("program", "instructions", "visited by the verifier", "bytes of machine code")
    return table(heads, programs) + "\n\n" + table(("map", "KiB, with no policy"), maps)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; figures to the right."""
    names = tuple(heads)
    lines = ["| " + " | ".join(names) + " |", "|---" + "|--:" * (len(names) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value: object) -> str:
    """With thousands separated; small fractions kept."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.2f}" if isinstance(value, float) and abs(value) < 100 else f"{value:,.0f}"


def added(difference: float) -> str:
    """An amount that was added."""
    return f"{difference:+,.0f}"


def met(good: bool) -> str:
    """Whether an aim is met."""
    return "met" if good else "**missed**"
