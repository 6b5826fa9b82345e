"""Violations a second from an agent's spool to a collector's store, over mTLS on loopback.

`python -m tests.bench.throughput [VIOLATIONS]` prints one JSON object. The collector is a process of its own; what is
measured starts when the stream does and ends when the last violation is acknowledged, so it contains the collector's
fsyncs. Filling the spool is measured apart.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from bulkhead import log
from bulkhead.collector.server import Collector, CollectorOptions
from bulkhead.report.channel import TlsFiles, open_channel
from bulkhead.report.clock import timestamp
from bulkhead.report.identity import NodeIdentity
from bulkhead.report.spool import Spool
from bulkhead.report.stream import Stream
from bulkhead.settings import GIBIBYTE, SpoolLimits
from bulkhead.v1.violation_pb2 import Entry, Object, Process, Verdict, Violation
from tests.unit.collector.certificates import make_certificates

VIOLATIONS = 400_000
APPEND = 500


def violation(number: int) -> Violation:
    """A violation of ordinary size: about 400 bytes."""
    moment = timestamp(1_764_000_000_000_000_000 + number * 1_000)
    return Violation(
        time=moment,
        boot_time_ns=number * 1_000,
        verdict=Verdict.VERDICT_DENIED,
        blocked=True,
        policy=f"policy-{number % 3}",
        policy_namespace="shop",
        rule="no-package-managers",
        rule_id=f"shop/policy-{number % 3}/exec/no-package-managers",
        severity="High",
        message="no package managers in web",
        operation="Exec",
        object=Object(path=b"/usr/bin/apt-get"),
        process=Process(
            pid=number % 32_768, executable=b"/usr/bin/bash", arguments=[b"bash", b"-c", b"apt-get update"]
        ),
        pod=f"web-{number % 10}",
        namespace="shop",
        container="web",
        image="registry.example/shop/web:1.2.3",
        workload="Deployment/web",
        labels={"app": "web"},
        node="bench",
        count=1,
        first_time=moment,
        last_time=moment,
    )


def collect(options: CollectorOptions, pipe: Connection) -> None:
    """The collector's process: says its port, serves until told to stop, says its processor time and memory."""

    async def run() -> None:
        collector = Collector(options)
        await collector.start()
        pipe.send(collector.port)
        await asyncio.to_thread(pipe.recv)
        await collector.stop()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        pipe.send((usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024))

    log.configure("warning")
    asyncio.run(run())


def fill(spool: Spool, violations: int) -> float:
    """Seconds it takes to write that many violations into the spool, 500 an fsync."""
    prepared = [Entry(violation=violation(number)) for number in range(APPEND)]
    began = time.perf_counter()
    for _ in range(violations // APPEND):
        spool.append(prepared)
    return time.perf_counter() - began


def measure(violations: int, directory: Path) -> dict[str, object]:
    """Everything once."""
    files = make_certificates(directory)
    server = TlsFiles(files.authority, files.server_certificate, files.server_key)
    client = TlsFiles(files.authority, files.client_certificate, files.client_key)
    here, there = multiprocessing.get_context("spawn").Pipe()
    options = CollectorOptions("127.0.0.1:0", directory / "store", server)
    process = multiprocessing.get_context("spawn").Process(target=collect, args=(options, there))
    process.start()
    port = here.recv()
    spool = Spool(directory / "spool", NodeIdentity("bench", "boot"), SpoolLimits(bytes=4 * GIBIBYTE))
    filled_s = fill(spool, violations)
    spool_bytes = spool.status().disk_bytes
    stream = Stream(spool, "bench", partial(open_channel, f"127.0.0.1:{port}", client))
    cpu_before = time.process_time()
    began = time.perf_counter()
    stream.start()
    complete = stream.drain(120)
    took_s = time.perf_counter() - began
    agent_cpu_s = time.process_time() - cpu_before
    stream.stop()
    spool.close()
    here.send("stop")
    collector_cpu_s, collector_mib = here.recv()
    process.join()
    return {
        "violations": violations,
        "complete": complete,
        "violations_per_s": round(violations / took_s),
        "spool_append_per_s": round(violations / filled_s),
        "bytes_per_violation": round(spool_bytes / violations),
        "agent_cpu_us_per_violation": round(agent_cpu_s / violations * 1e6, 2),
        "collector_cpu_us_per_violation": round(collector_cpu_s / violations * 1e6, 2),
        "collector_peak_mib": collector_mib,
        "agent_peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> int:
    """Measures and prints."""
    log.configure("warning")
    violations = int(sys.argv[1]) if len(sys.argv) > 1 else VIOLATIONS
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as directory:
        result = measure(violations, Path(directory))
    print(json.dumps(result))
    return 0 if result["complete"] else 1


if __name__ == "__main__":
    sys.exit(main())
