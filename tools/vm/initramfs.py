"""What the guest boots from: an archive with busybox, a few modules, the first program and the command of this run.

Why here: Debian's kernels have the drivers of our virtual machine as modules, so something must load them before there
is a root file system. The archive is written by ourselves (format "newc", the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst), in milliseconds and without the tools of a distribution.
`qemu` hands it to the kernel; `guest/init.sh` is what runs first in it.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import subprocess
from pathlib import Path, PurePosixPath

from tools.vm import BenchError
from tools.vm.kernels import Kernel

DRIVERS = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
GUEST = Path(__file__).parent / "guest"
FOLDER_MODE = stat.S_IFDIR | 0o755
PROGRAM_MODE = stat.S_IFREG | 0o755


def module_name(path: str) -> str:
    """The name that modprobe knows a module file by."""
    return PurePosixPath(path).name.split(".ko")[0].replace("-", "_")


def load_order(wanted: tuple[str, ...], dependencies: str, builtin: str) -> list[str]:
    """Module files, each after those it needs. `dependencies` and `builtin` are modules.dep and modules.builtin."""
    needs: dict[str, tuple[str, list[str]]] = {}
    for line in dependencies.splitlines():
        module, _, needed = line.partition(":")
        needs[module_name(module)] = (module, needed.split())
    inside = {module_name(line) for line in builtin.split()}
    order: list[str] = []
    for name in wanted:
        if name in inside:
            continue
        if name not in needs:
            raise BenchError(f"the kernel has no module {name}, and the bench cannot boot it without")
        module, others = needs[name]
        order += [file for file in [*reversed(others), module] if file not in order]
    return order


def archive(files: dict[str, bytes]) -> bytes:
    """A newc archive of executable files, with the folders they lie in."""
    folders = sorted({str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."})
    entries = [(folder, FOLDER_MODE, b"") for folder in folders]
    entries += [(path, PROGRAM_MODE, content) for path, content in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, start=1))


def _entry(inode: int, path: str, mode: int, content: bytes) -> bytes:
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def build(kernel: Kernel, run_files: dict[str, bytes]) -> bytes:
    """The archive for one run of `kernel`. `run_files` come to lie in the guest's /run/vm, beside busybox."""
    busybox = _static_busybox()
    texts = [(kernel.modules / name).read_text() for name in ("modules.dep", "modules.builtin")]
    order = load_order(DRIVERS, *texts)
    files = {"init": (GUEST / "init.sh").read_bytes(), "vm/busybox": busybox}
    files |= {f"modules/{number:02}.ko": _plain(kernel.modules / path) for number, path in enumerate(order)}
    files |= {f"vm/{name}": content for name, content in run_files.items()}
    files["vm/run.sh"] = (GUEST / "run.sh").read_bytes()
    return archive(files)


def _static_busybox() -> bytes:
    path = shutil.which("busybox")
    if path is None:
        raise BenchError("busybox is needed in the guest and is not installed: install busybox-static")
    program = Path(path).read_bytes()
    if b"/ld-linux" in program:  # the name of its interpreter, which is not there yet when it runs
        raise BenchError(f"{path} needs libraries, and the guest begins without any: install busybox-static")
    return program


def _plain(module: Path) -> bytes:
    data = module.read_bytes()
    match module.suffix:
        case ".xz":
            return lzma.decompress(data)
        case ".zst":
            return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout
        case _:
            return data
