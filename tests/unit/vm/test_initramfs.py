"""What the guest boots from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.vm import BenchError
from tools.vm.initramfs import DRIVERS, archive, build, load_order, module_name
from tools.vm.kernels import Kernel

DEPENDENCIES = """\
kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet.ko.xz:
kernel/fs/netfs/netfs.ko.xz:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/virtio/virtio.ko.xz:
"""


@pytest.mark.parametrize(
    ("path", "name"),
    [("kernel/a/virtio-pci.ko.xz", "virtio_pci"), ("kernel/a/9p.ko", "9p"), ("b/overlay.ko.zst", "overlay")],
)
def test_name_of_a_module_file(path: str, name: str) -> None:
    """Folders, packing and the two ways to write a dash do not matter."""
    assert module_name(path) == name


def test_modules_come_after_what_they_need() -> None:
    """Each file once, and never before one that it depends on; built-in ones are not loaded."""
    order = load_order(("9p", "9pnet_virtio", "ext4"), DEPENDENCIES, "kernel/fs/ext4/ext4.ko\n")
    assert [module_name(path) for path in order] == ["netfs", "9pnet", "9p", "virtio", "9pnet_virtio"]


def test_missing_module_is_an_error() -> None:
    """A kernel that cannot boot on the bench is refused by name, before it boots."""
    with pytest.raises(BenchError, match="no module overlay"):
        load_order(("overlay",), DEPENDENCIES, "")


def test_archive_unpacks(tmp_path: Path) -> None:
    """A second reader of the format finds the files, whatever their length is, executable, in their folders."""
    files = {"init": b"#!x\n", "vm/deep/empty": b"", "vm/odd": b"12345", "vm/even": bytes(range(256))}
    command = ["busybox", "cpio", "-idm"]
    subprocess.run(command, input=archive(files), cwd=tmp_path, check=True, capture_output=True)
    found = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == files
    assert all(path.stat().st_mode & 0o777 == 0o755 for path in found.values())


def test_busybox_that_needs_libraries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not run as the guest's first program, and the guest would only panic."""
    (tmp_path / "busybox").write_bytes(b"\x7fELF\0/lib64/ld-linux-x86-64.so.2\0")
    (tmp_path / "busybox").chmod(0o755)
    folder = tmp_path / "lib/modules/6.1.0"
    folder.mkdir(parents=True)
    (tmp_path / "release").write_text("6.1.0\n")
    (folder / "modules.dep").write_text("")
    (folder / "modules.builtin").write_text("".join(f"{name}.ko\n" for name in DRIVERS))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match="install busybox-static"):
        build(Kernel("6.1", tmp_path), {})
