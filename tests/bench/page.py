"""docs/benchmarks.md: its measured part, between two marks, is written from the results. Pure.

It has a section for each thing that is measured. Those whose parts were not measured here stay as they are on the page.
Each figure stands beside its aim, and says itself where it misses it. Next step: `__main__` measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.aims import (
    AGENT,
    CHANGES,
    CLUSTER,
    COUNTED,
    FULL_NODE,
    FULL_NODE_MEMORY,
    KEPT,
    SCALE,
    STARTS,
    TIMED,
    Aim,
    Results,
    Tail,
)

BEGIN = "<!-- measured: written by `make bench`, do not edit -->"
END = "<!-- end of what was measured -->"
HEADING = "\n### "

ROWS = {
    "empty_file_open": "an empty LSM program on file_open",
    "empty_all": "empty LSM programs on all hooks that ours are on",
    "no_policy": "ours, in a cgroup without policy",
    "policy_few": "ours, under a policy with 10 file rules",
    "policy_many": "ours, under a policy with 1,000 file rules",
    "policy_most": "ours, under a policy with 10,000 file rules",
    "policy_changed": "the same, of files that another policy's memory is on",
    "apparmor": "AppArmor, confined by the profile of 10 file rules",
}
OPENS = {
    "open": "open+close, remembered",
    "each": "first time, directory known, name of 8 bytes",
    "again": "second time",
    "long": "first time, name of 32 bytes",
    "deep": "first time, 10 directories unknown",
    "denied": "denied",
}
OTHER_ACTS = {
    "create": "create+unlink",
    "rename": "rename",
    "chmod": "chmod",
    "pread": "pread",
    "pwrite": "pwrite",
    "capable": "capable",
    "connect": "TCP connect",
    "fork": "vfork+exit",
    "exec": "vfork+exec",
}
RULE_BYTES_AIM = 500


@dataclass(frozen=True)
class Section:
    """A heading of the page, the parts that must have been measured for it, and what is written below it."""

    title: str
    parts: tuple[str, ...]
    paragraphs: Callable[[Results], Iterable[str]]

    def text(self, results: Results) -> str:
        """All of it, when it was measured first."""
        return "\n\n".join([self._when(results), *self.paragraphs(results)])

    def _when(self, results: Results) -> str:
        days = sorted({results["dates"][part] for part in self.parts})
        kernels = {results[part]["kernel"] for part in self.parts if "kernel" in _keys(results[part])}
        return (
            ", ".join([f"Measured on {' and '.join(days)}", *(f"Linux {kernel}" for kernel in sorted(kernels))]) + "."
        )


def _keys(part: object) -> Iterable[str]:
    return part if isinstance(part, Mapping) else ()


def rewritten(document: str, results: Results) -> str:
    """The document with the sections of what was measured replaced. ValueError where it has no marks."""
    before, begin, rest = document.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has lost the marks between which figures are written")
    return f"{before}{BEGIN}\n\n{measured_part(results, sections_of(old))}\n\n{END}{after}"


def sections_of(measured: str) -> dict[str, str]:
    """What is below each heading."""
    found = (each.partition("\n") for each in measured.split(HEADING)[1:])
    return {title: text.strip() for title, _, text in found}


def measured_part(results: Results, kept: Mapping[str, str]) -> str:
    """Every section, as measured, or else as it was."""
    texts = [f"Machine: {results['machine']}."]
    for section in SECTIONS:
        if all(part in results for part in section.parts):
            texts.append(f"### {section.title}\n\n{section.text(results)}")
        elif section.title in kept:
            texts.append(f"### {section.title}\n\n{kept[section.title]}")
    return "\n\n".join(texts)


def instruction_tables(results: Results) -> list[str]:
    """What each situation adds to each act: opens, then others."""
    costs = results["instructions"]["costs"]
    return [instruction_table(costs, OPENS), instruction_table(costs, OTHER_ACTS)]


def instruction_table(costs: Mapping[str, Mapping[str, float]], acts: Mapping[str, str]) -> str:
    """The first row is the act itself. A situation in which none of the acts is done has no row."""
    base = costs["baseline"]
    rows = [("nothing loaded (absolute)", *(number(base[act]) for act in acts))]
    for key, text in ROWS.items():
        if costs[key].keys() & acts:
            rows.append((text, *(added(costs[key][act] - base[act]) if act in costs[key] else "" for act in acts)))
    return table(("", *acts.values()), rows)


def aim_table(results: Results, aims: Sequence[Aim]) -> str:
    """Each aim: what, measured, aim, and whether it is met."""
    return table(("what", "measured", "aim", ""), (aim.row(results) for aim in aims))


def tail_table(results: Results, tails: Sequence[Tail]) -> str:
    """The same of times that were taken often."""
    return table(("what", "median", "99th percentile", "aim", ""), (tail.row(results) for tail in tails))


def kernel_memory_table(results: Results) -> list[str]:
    """Containers, then inodes."""
    memory = results["kernel_memory"]
    rows = [
        ("maps with nothing in them, the ring buffer included", f"{memory['maps'] / 1e6:.1f} MB", "", ""),
        (f"a set of {memory['rules']} rules, with its first container", kilobytes(memory["set"]), "", ""),
        ("each other container, with packet programs of its own", kilobytes(memory["container"]), "", ""),
        *(aim.row(results) for aim in KEPT),
        *(
            (f"added an inode, on average, its file opened {times}", f"{size:,.0f} bytes", "", "")
            for times, size in zip(("once", "twice", "three times"), memory["inode"], strict=True)
        ),
    ]
    return [table(("what", "measured", "aim", ""), rows)]


def kilobytes(size: float) -> str:
    """Memory of the kernel: 1,000 bytes."""
    return f"{size / 1e3:.1f} kB"


def latency_parts(results: Results) -> list[str]:
    """Under what load, and the table."""
    operation = results["operation"]
    return [
        f"The machine's load average before the guest started was {operation['other_load']:.1f}; over 0.5, seconds and "
        "milliseconds are too long, tails and the time to load most of all.",
        latency_table(operation),
    ]


def throughput_parts(results: Results) -> list[str]:
    """The same of violations a second."""
    measured = {key: value for key, value in results["throughput"].items() if key != "other_load"}
    return [
        f"The machine's load average before was {results['throughput']['other_load']:.1f}.",
        table(("what", "measured"), ((f"`{key}`", number(value)) for key, value in measured.items())),
    ]


def building_parts(results: Results) -> list[str]:
    """The same of policies of many rules."""
    building = results["building"]
    return [
        f"The machine's load average before was {building['other_load']:.1f}; times are of the processor.",
        building_table(building),
    ]


def cluster_parts(results: Results) -> list[str]:
    """The same of a cluster."""
    cluster = results["cluster"]
    return [
        f"The machine's load average before the cluster was started was {cluster['other_load']:.1f}. The node is "
        "emulated; kubectl, Helm and the control plane are not.",
        aim_table(results, CLUSTER),
        "A hundred changes, one after another, each from the moment before it is sent:",
        tail_table(results, CHANGES),
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


def scale_parts(results: Results) -> list[str]:
    """What thousands of nodes and policies cost."""
    scale = results["scale"]
    return [
        f"{scale['nodes']:,} NodeStates of twenty policies each, {scale['policies']:,} policies of ten rules each, the "
        f"watches of {scale['watches']['agents']:,} agents, a real API server and no node. The machine's load average "
        f"before was {scale['other_load']:.1f}.",
        aim_table(results, (*SCALE, *AGENT)),
    ]


def start_parts(results: Results) -> list[str]:
    """What the agent adds to a container's start."""
    return [other_load(results["full_node"]), aim_table(results, STARTS)]


def full_node_parts(results: Results) -> list[str]:
    """What a node with as many pods as it may have takes."""
    node = results["full_node"]
    return [
        f"{node['pods']} pods, {node['containers']:,} containers, each under a set of its own. {other_load(node)}",
        tail_table(results, FULL_NODE),
        aim_table(results, FULL_NODE_MEMORY),
    ]


def other_load(part: Mapping[str, Any]) -> str:
    """What else there was to do."""
    return f"The machine's load average before was {part['other_load']:.1f}."


def footprint_tables(results: Results) -> list[str]:
    """Programs, then maps."""
    operation = results["operation"]
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
    return [table(heads, programs), table(("map", "KiB, with no policy"), maps)]


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


SECTIONS = (
    Section("Instructions added", ("instructions",), instruction_tables),
    Section("Aims of what is counted", ("instructions",), lambda results: [aim_table(results, COUNTED)]),
    Section("Memory in the kernel", ("kernel_memory",), kernel_memory_table),
    Section(
        "Aims of what takes time",
        ("building", "compile_s", "throughput", "operation"),
        lambda results: [aim_table(results, TIMED)],
    ),
    Section("Latency and memory", ("operation",), latency_parts),
    Section("From spool to store", ("throughput",), throughput_parts),
    Section("A policy of many rules", ("building",), building_parts),
    Section("In a cluster", ("cluster",), cluster_parts),
    Section("A container's start", ("full_node",), start_parts),
    Section("A full node", ("full_node",), full_node_parts),
    Section("Many nodes and policies", ("scale",), scale_parts),
    Section("Footprint in the kernel", ("operation",), footprint_tables),
)
