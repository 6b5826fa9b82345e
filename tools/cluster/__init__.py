"""The cluster bench: a real Kubernetes on one machine, its node a virtual machine whose kernel can enforce.

Why here: what an agent does between an API server and a container runtime is only true where both are the real ones.
The control plane runs natively, because emulation would make it twenty times slower; only the node, whose kernel is
what matters, is a virtual machine of `tools.vm`.

`binaries` builds Kubernetes, etcd, containerd and Helm once, `images_disk` puts images where the node finds them,
`credentials` makes keys and kubeconfig files, `control_plane` and `node` start the parts, `supervisor` holds them
together until it is told to end, `cluster` is what a test or a person does with a running one. The command line is
`__main__`.
"""

from __future__ import annotations

from pathlib import Path

from tools.vm import CACHE
from tools.vm import BenchError as BenchError

CLUSTER = CACHE / "cluster"
BIN = CLUSTER / "bin"
RUN = CLUSTER / "run"
HERE = Path(__file__).parent
