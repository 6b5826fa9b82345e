"""containerd and runc natively on this machine, and what a kubelet would ask of them (`cri.proto`).

All that they have is in one folder; containers have the machine's network. Here root may be without CAP_SYS_RESOURCE,
and cgroup v2 without its controllers, which belong to v1: so processes keep their score for the memory killer, and a
script before runc takes the sandbox's share of the processor out. Next step: `full_node`.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import grpc

from tools.cluster import BIN, BenchError, images, programs

NAMESPACE = "k8s.io"
READY_S, CALL_S = 30.0, 60.0
PODS = "/bench/kubepods"  # their cgroup
RUNC = """#!/bin/sh
case "$*" in *" create "*)
    bundle=${*##*--bundle }
    sed -i 's/,"cpu":{"shares":[0-9]*}//' "${bundle%% *}/config.json" ;;
esac
exec runc "$@"
"""
CONFIG = """version = 3
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.sock.ttrpc"
[plugins."io.containerd.nri.v1.nri"]
  socket_path = "{folder}/nri.sock"
  plugin_path = "{folder}/nri-plugins"
  plugin_config_path = "{folder}/nri-config"
  plugin_request_timeout = "10s"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    BinaryName = "{folder}/runc"
"""
_cri, _services = grpc.protos_and_services("tests/bench/cri.proto")
_OWN = _cri.NamespaceOption(network=_cri.NODE, pid=_cri.CONTAINER)


class Sandbox:
    """A pod as the runtime has it."""

    def __init__(self, config: object, identifier: str) -> None:
        self.config, self.identifier = config, identifier


class Runtime:
    """A containerd that lives as long as `ends`, in `folder`. Raises `BenchError` where it does not come up."""

    def __init__(self, folder: Path, ends: ExitStack) -> None:
        folder.mkdir()
        runc = folder / "runc"
        runc.write_text(RUNC)
        runc.chmod(0o755)
        (folder / "config.toml").write_text(CONFIG.format(folder=folder, pause=images.PAUSE))
        self.nri = folder / "nri.sock"
        self._socket = folder / "containerd.sock"
        command = ["env", f"PATH={BIN}:/usr/sbin:/usr/bin:/sbin:/bin", str(BIN / "containerd")]
        self._program = programs.start_command("containerd", [*command, "-c", f"{folder}/config.toml"], folder, {})
        ends.callback(self._program.end)
        self._await_sockets()
        for archive in images.own():
            self._import(archive)
        channel = ends.enter_context(grpc.insecure_channel(f"unix://{self._socket}"))
        self._cri = _services.RuntimeServiceStub(channel)

    def run_pod(self, namespace: str, name: str, uid: str, labels: Mapping[str, str]) -> Sandbox:
        """Its sandbox, without any container."""
        config = _cri.PodSandboxConfig(
            metadata=_cri.PodSandboxMetadata(name=name, uid=uid, namespace=namespace),
            labels=labels,
            linux=_cri.LinuxPodSandboxConfig(
                cgroup_parent=f"{PODS}/pod{uid}",
                security_context=_cri.LinuxSandboxSecurityContext(namespace_options=_OWN),
            ),
        )
        made = self._cri.RunPodSandbox(_cri.RunPodSandboxRequest(config=config), timeout=CALL_S)
        return Sandbox(config, made.pod_sandbox_id)

    def start(self, sandbox: Sandbox, name: str) -> str:
        """Create a container that sleeps, and start it; returns its id."""
        config = _cri.ContainerConfig(
            metadata=_cri.ContainerMetadata(name=name),
            image=_cri.ImageSpec(image=images.BUSYBOX),
            command=["/bin/sleep", "1000000"],
            linux=_cri.LinuxContainerConfig(
                security_context=_cri.LinuxContainerSecurityContext(namespace_options=_OWN)
            ),
        )
        request = _cri.CreateContainerRequest(
            pod_sandbox_id=sandbox.identifier, config=config, sandbox_config=sandbox.config
        )
        made = self._cri.CreateContainer(request, timeout=CALL_S)
        self._cri.StartContainer(_cri.StartContainerRequest(container_id=made.container_id), timeout=CALL_S)
        return str(made.container_id)

    def remove(self, container: str) -> None:
        """Kill it, and let nothing be left of it."""
        self._cri.RemoveContainer(_cri.RemoveContainerRequest(container_id=container), timeout=CALL_S)

    def _await_sockets(self) -> None:
        deadline = time.monotonic() + READY_S
        while not (self._socket.exists() and self.nri.exists()):
            if self._program.has_ended() or time.monotonic() > deadline:
                raise BenchError(f"containerd did not come up: {programs.tails(self._program.log.parent)}")
            time.sleep(0.1)

    def _import(self, archive: Path) -> None:
        command = [str(BIN / "ctr"), "--address", str(self._socket), "--namespace", NAMESPACE, "images", "import"]
        subprocess.run([*command, str(archive)], check=True, stdout=subprocess.DEVNULL)
