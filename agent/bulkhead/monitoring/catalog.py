"""Every metric of every program: names, meanings, and which values a label can have. Data only.

Names are Prometheus' own way: `bulkhead_`, base units, `_total` for what only grows. No label has a value that users
make up (pods, namespaces, policies, paths): what is told of those is in violations and NodeState objects. The page
docs/metrics.md is made from this. Next step: `monitoring.exposition`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Prometheus' types."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """`labels`: each label's name and the values that it can have, in words."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """In the order in which samples give values."""
        return tuple(name for name, _ in self.labels)


def _counter(name: str, meaning: str, **labels: str) -> Metric:
    return Metric(f"bulkhead_{name}_total", Kind.COUNTER, meaning, tuple(labels.items()))


def _gauge(name: str, meaning: str, **labels: str) -> Metric:
    return Metric(f"bulkhead_{name}", Kind.GAUGE, meaning, tuple(labels.items()))


def _histogram(name: str, meaning: str) -> Metric:
    return Metric(f"bulkhead_{name}_seconds", Kind.HISTOGRAM, meaning)


# Every program's

BUILD_INFO = _gauge("build_info", "Always 1.", program="`agent`, `collector`, `controller`", version="of Bulkhead")
READY = _gauge("ready", "Whether a check of /readyz passes: 1 or 0.", check="the checks of the program, see below")
PROGRAM = (BUILD_INFO, READY)

# The API server's clients

WATCHES = "kinds of objects that the program watches"
API_REQUESTS = _counter(
    "api_requests",
    "Requests to the API server that were answered, or not.",
    verb="`get`, `watch`, `post`, `put`, `patch`, `delete`",
    code="the status of HTTP; 0 where there was no answer",
)
WATCH_SYNCED = _gauge("watch_synced", "Whether all objects of a kind have been listed once: 1 or 0.", kind=WATCHES)
WATCH_SILENCE = _gauge(
    "watch_silence_seconds", "Seconds since the API server last said anything about a kind, bookmarks included.",
    kind=WATCHES,
)  # fmt: skip
WATCH_EVENTS = _counter("watch_events", "Changes of objects that the API server told.", kind=WATCHES)
WATCH_LISTS = _counter("watch_lists", "Times that all objects of a kind were listed in pages.", kind=WATCHES)
WATCH_ERRORS = _counter(
    "watch_errors", "Watches that failed; each is begun anew.", kind=WATCHES, error="errors of `kube.errors`"
)
CLIENT = (API_REQUESTS, WATCH_SYNCED, WATCH_SILENCE, WATCH_EVENTS, WATCH_LISTS, WATCH_ERRORS)

# Certificates

WHOSE = "`authority`, `agent`, `collector`, `client`"
CERTIFICATE_EXPIRY = _gauge("certificate_expiry_timestamp_seconds", "When a certificate ends.", of=WHOSE)
CERTIFICATE_RENEWAL = _gauge(
    "certificate_renewal_timestamp_seconds", "When it should be replaced, at two thirds of its time.", of=WHOSE
)
CERTIFICATE_FAILURES = _counter(
    "certificate_failures", "Attempts to get, issue or renew certificates that failed; each is made again."
)
CERTIFICATES_ISSUED = _counter("certificates_issued", "Certificates that the controller has signed.", of=WHOSE)
CERTIFICATES_REFUSED = _counter(
    "certificate_requests_refused",
    "Requests that the controller has refused: `account`, of somebody who is no agent; `node`, with a token that is "
    "bound to no node; `request`, not as agents make them.",
    reason="`account`, `node`, `request`",
)
CERTIFICATE = (CERTIFICATE_EXPIRY, CERTIFICATE_RENEWAL)
ISSUING = (*CERTIFICATE, CERTIFICATE_FAILURES, CERTIFICATES_ISSUED, CERTIFICATES_REFUSED)

# The agent's

CONTAINERS = _gauge(
    "containers",
    "Containers of the node that policies select: `enforced`, as their newest policies say; `failed`, where that could "
    "not be done, what was enforced before goes on.",
    state="`enforced`, `failed`",
)
POLICIES = _gauge(
    "policies", "Policies that the agent knows: `accepted`; `refused`, the newest version at least.",
    state="`accepted`, `refused`",
)  # fmt: skip
SYNC_CHANGES = _counter("sync_changes", "Containers that were put under other policies, or released.")
SYNC_FAILURES = _counter("sync_failures", "Attempts to put a container under its policies that failed.")
SYNC_DURATION = _histogram("sync_duration", "How long it took to make a change of containers or policies so.")
DRIFT_CHECKS = _counter("drift_checks", "Times that the kernel's maps were compared with what they should hold.")
DRIFT_REPAIRS = _counter(
    "drift_repairs",
    "Entries of the kernel's maps that were not as they should be and were written again. None is usual.",
    map="`containers`, `homes`, `bindings`, `network`",
)
STRICT_STARTS = _gauge(
    "strict_starts", "Whether containers that no agent has told of are refused now, as a namespace asks: 1 or 0."
)
KERNEL = _counter(
    "kernel_events",
    "What the kernel programs count: `records` written, and each limit and error of docs/limits.md. Everything but "
    "`records` is worth a look.",
    event="`enum statistic` of probes/include/abi.h, in small letters",
)
VIOLATIONS = _counter(
    "violations", "Violations that the agent has taken down; repeats of one count each.",
    verdict="`allowed`, `audited`, `would_deny`, `denied`, `killed`, `unspecified`",
)  # fmt: skip
GAPS = _counter("gaps", "Gaps told: losses with a number.", reason="reasons of `GapReason`, in small letters")
GAP_VIOLATIONS = _counter(
    "gap_violations", "Violations that are counted in gaps only.", reason="reasons of `GapReason`, in small letters"
)
SPOOL_BYTES = _gauge("spool_bytes", "Bytes on disk that no collector has acknowledged, to a segment.")
SPOOL_LIMIT = _gauge("spool_limit_bytes", "How many there may be: from there on the oldest audits go first.")
SPOOL_PENDING = _gauge("spool_pending_entries", "Entries that no collector has acknowledged.")
SPOOL_HELD = _gauge("spool_held_entries", "Entries in memory because the disk takes none.")
SPOOL_DROPPED = _counter("spool_dropped_entries", "Entries that had to go and became gaps.")
SPOOL_DAMAGED = _counter("spool_damaged_segments", "Files of the spool that were found damaged.")
STREAM_CONNECTED = _gauge("stream_connected", "Whether a collector takes violations now: 1 or 0.")
STREAM_FAILURES = _counter("stream_failures", "Connections to the collector that failed or could not be made.")
AGENT = (
    CONTAINERS, POLICIES, SYNC_CHANGES, SYNC_FAILURES, SYNC_DURATION, DRIFT_CHECKS, DRIFT_REPAIRS,
    STRICT_STARTS, KERNEL, VIOLATIONS, GAPS, GAP_VIOLATIONS, SPOOL_BYTES, SPOOL_LIMIT, SPOOL_PENDING, SPOOL_HELD,
    SPOOL_DROPPED, SPOOL_DAMAGED, STREAM_CONNECTED, STREAM_FAILURES,
)  # fmt: skip

# The collector's

AGENTS = _gauge("collector_agents", "Agents that are connected.")
SUBSCRIBERS = _gauge("collector_subscribers", "Readers that are connected.")
RECEIVED = _counter("collector_received_entries", "Entries that were received, those sent twice counted in.")
COMMITTED = _counter("collector_committed_entries", "Entries received that are on the disk and acknowledged.")
COMMIT_DURATION = _histogram("collector_commit_duration", "How long commits took.")
COMMIT_FAILURES = _counter("collector_commit_failures", "Commits that failed; agents keep what was in them.")
QUEUE = _gauge("collector_queue_batches", "Batches received that wait for their commit.")
REFUSED = _counter("collector_refused_streams", "Streams of agents that were ended for what they sent.")
REFUSED_CALLERS = _counter(
    "collector_refused_callers",
    "Callers that may not deliver or read, and readers that may no longer: `certificate`, of another name; `node`, "
    "another than the certificate's; `token`, "
    "none or not valid; `right`, missing; `unreachable`, the API server; `busy`, too many newcomers at once.",
    reason="`certificate`, `node`, `token`, `right`, `unreachable`, `busy`",
)
STORE_BYTES = _gauge("collector_store_bytes", "Bytes of the store's files.")
STORE_LIMIT = _gauge("collector_store_limit_bytes", "How many there may be before the oldest go.")
STORE_FILES = _gauge("collector_store_files", "Files of the store.")
COLLECTOR = (
    AGENTS, SUBSCRIBERS, RECEIVED, COMMITTED, COMMIT_DURATION, COMMIT_FAILURES, QUEUE, REFUSED, REFUSED_CALLERS,
    STORE_BYTES, STORE_LIMIT, STORE_FILES,
)  # fmt: skip

# The controller's

LEADING = _gauge("controller_leading", "Whether this replica is the one that writes: 1 or 0.")
JUDGED = _gauge(
    "controller_policies", "Policies by whether their newest version is valid.", state="`accepted`, `refused`"
)
NODES = _gauge("controller_nodes", "Nodes whose agents say something.")
STATUS_WRITES = _counter("controller_status_writes", "Statuses of policies that were written.")
STATUS_FAILURES = _counter("controller_status_failures", "Statuses that could not be written; each is tried again.")
CONTROLLER = (LEADING, JUDGED, NODES, STATUS_WRITES, STATUS_FAILURES)

# What each program has
PROGRAMS: dict[str, tuple[Metric, ...]] = {
    "agent": (*PROGRAM, *AGENT, *CERTIFICATE, CERTIFICATE_FAILURES, *CLIENT),
    "collector": (*PROGRAM, *COLLECTOR, *CERTIFICATE, CERTIFICATE_FAILURES, API_REQUESTS),
    "controller": (*PROGRAM, *CONTROLLER, *ISSUING, *CLIENT),
}
