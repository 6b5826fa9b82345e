"""Bulkhead: security policies for Kubernetes workloads, enforced in the kernel with BPF LSM.

Start reading at `docs/architecture.md`.
"""

__version__ = "0.1.0"
