"""The node: a virtual machine of tools.vm that stays, with a disk, a network card and a port for commands.

Why here: the kernel that enforces is the node's. Its output streams and its console are files of the run, so nobody
has to read along; guest/node.sh is what runs in it. Next step: `supervisor` waits until the API server calls it
ready.
"""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import BIN, HERE, node_config, programs
from tools.cluster.addresses import API_SERVER_FROM_NODE, KUBELET_PORT, NODE_IP, NODE_NAME
from tools.cluster.credentials import Credentials
from tools.cluster.programs import Program
from tools.vm import boot, qemu
from tools.vm.kernels import fetched

MEMORY = "6G"
CPUS = 2


@dataclass(frozen=True)
class Boot:
    """What the node is booted with: the name of a kernel, and its lsm=."""

    kernel: str = "6.12"
    lsm: str = qemu.DEFAULT_LSM


def start(asked: Boot, disk: Path, credentials: Credentials, folder: Path, ends: ExitStack) -> Program:
    """A node that boots, with its files in the new `folder`; it ends when `ends` is closed. Raises `BenchError`."""
    boot.check_tools()
    config, results = folder / "config", folder / "results"
    for made in (config, results):
        made.mkdir(parents=True)
    for name, text in config_files(credentials, config, results).items():
        (config / name).write_text(text)
    kernel = fetched(asked.kernel)
    machine = qemu.Machine(cpus=CPUS, memory=MEMORY, lsm=asked.lsm, qemu_options=tuple(qemu_options(disk, folder)))
    boot.write_initramfs(
        folder / "initramfs", ["bash", str(HERE / "guest/node.sh"), str(config / "settings")], kernel, results
    )
    command = qemu.qemu_command(
        machine,
        image=kernel.image,
        initramfs=folder / "initramfs",
        console=folder / "console.log",
        ports={},
        folders={"machine": (Path("/"), True), "results": (results, False)},
    )
    # QEMU keeps what is written to the disk in a file that it makes in TMPDIR: it goes with the run
    program = programs.start_command("qemu", command, folder, {"TMPDIR": str(folder)})
    ends.callback(program.end)
    return program


def qemu_options(disk: Path, folder: Path) -> list[str]:
    """A disk whose content stays as it is, a network card, and the ports that guest/run.sh and commands.sh look for."""
    options = ["-drive", f"file={qemu.quoted(disk)},if=virtio,format=raw,snapshot=on"]
    options += ["-netdev", f"user,id=network,hostfwd=tcp:{NODE_IP}:{KUBELET_PORT}-:{KUBELET_PORT}"]
    options += ["-device", "virtio-net-pci,netdev=network"]
    for name in qemu.PORTS:
        options += ["-chardev", f"file,id={name},path={qemu.quoted(folder / name)}.log"]
    options += ["-chardev", f"socket,id=commands,path={qemu.quoted(folder / 'commands')},server=on,wait=off"]
    for name in (*qemu.PORTS, "commands"):
        options += ["-device", f"virtserialport,chardev={name},name={name}"]
    return options


def config_files(credentials: Credentials, config: Path, results: Path) -> dict[str, str]:
    """The files that guest/node.sh reads, by name."""
    return {
        "settings": settings(credentials, config, results),
        "kubelet.json": node_config.kubelet(credentials),
        "containerd.toml": node_config.containerd(),
        "network.json": node_config.network(),
        "rules.nft": node_config.packet_rules(),
    }


def settings(credentials: Credentials, config: Path, results: Path) -> str:
    """Variables for guest/node.sh, as bash reads them."""
    texts = {
        "BIN": BIN,
        "CONFIG": config,
        "RESULTS": results,
        "COMMANDS": HERE / "guest/commands.sh",
        "DISK": node_config.DISK,
        "KUBELET_ROOT": node_config.KUBELET_ROOT,
        "CNI_CONFIG": node_config.CNI_CONFIG,
        "CONTAINERD": node_config.CONTAINERD,
        "NODE_NAME": NODE_NAME,
        "NODE_IP": NODE_IP,
        "GATEWAY": API_SERVER_FROM_NODE,
    }
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in texts.items()]
    lines.append(f"KUBELET_ARGUMENTS=({shlex.join(node_config.kubelet_arguments(credentials))})")
    lines.append(f"PROXY_ARGUMENTS=({shlex.join(node_config.proxy_arguments(credentials))})")
    return "\n".join(lines) + "\n"
