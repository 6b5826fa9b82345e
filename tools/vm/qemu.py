"""QEMU's command line: what our virtual machine consists of. Pure: `boot` starts what is written here.

Streams are sockets that QEMU inherits, so that any number of machines run at once. Folders are shared by 9p, which
QEMU and every kernel of ours have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# What costs the emulator most is left out: string instructions that it runs byte by byte (erms), five levels of page
# tables (la57), vectors of 256 bits (avx). Figures that are counted (docs/benchmarks.md) are of a processor with all.
CPU = "max,-erms,-la57,-avx,-avx2"
COUNTED_CPU = "max"
DEFAULT_LSM = "landlock,lockdown,yama,apparmor,bpf"
PORTS = ("stdout", "stderr", "status")


@dataclass(frozen=True)
class Machine:
    """What can be chosen about a virtual machine. `append` is added to the kernel's command line."""

    cpus: int = 2
    memory: str = "4G"
    lsm: str = DEFAULT_LSM
    icount: bool = False
    append: str = ""
    qemu_options: tuple[str, ...] = ()


def kernel_arguments(machine: Machine) -> str:
    """The kernel's command line. A panic ends the machine; counted machines keep the kernel's own mitigations."""
    words = ["console=ttyS0", "loglevel=4", "panic=-1", f"lsm={machine.lsm}", "rdinit=/init", "nokaslr"]
    words += ["random.trust_cpu=on", "no_timer_check", "tsc=reliable"]
    words += [] if machine.icount else ["mitigations=off"]
    return " ".join([*words, *machine.append.split()])


def qemu_command(  # noqa: PLR0913  # what belongs to one run
    machine: Machine,
    *,
    image: Path,
    initramfs: Path,
    console: Path,
    ports: Mapping[str, int],
    folders: Mapping[str, tuple[Path, bool]],
) -> list[str]:
    """QEMU's command line.

    `ports` are connected sockets by the name that the guest finds them under, `folders` are shared under theirs: each a
    path, and whether the guest may only read it.
    """
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    command += ["-machine", "q35", "-cpu", COUNTED_CPU if machine.icount else CPU]
    command += ["-m", machine.memory, "-smp", str(1 if machine.icount else machine.cpus)]
    command += ["-icount", "shift=0", "-accel", "tcg"] if machine.icount else ["-accel", "tcg,thread=multi"]
    command += ["-kernel", str(image), "-initrd", str(initramfs), "-append", kernel_arguments(machine)]
    command += ["-chardev", f"file,id=console,path={quoted(console)}", "-serial", "chardev:console"]
    command += ["-device", "virtio-serial-pci"]
    for name, descriptor in ports.items():
        command += ["-chardev", f"socket,id={name},fd={descriptor}"]
        command += ["-device", f"virtserialport,chardev={name},name={name}"]
    for name, (path, read_only) in folders.items():
        access = "on" if read_only else "off"
        options = f"security_model=none,multidevs=remap,readonly={access}"
        command += ["-fsdev", f"local,id={name},path={quoted(path)},{options}"]
        command += ["-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}"]
    return [*command, *machine.qemu_options]


def quoted(path: Path) -> str:
    """A path inside one of QEMU's comma-separated options."""
    return str(path).replace(",", ",,")
