"""Debian's kernels in `.cache/kernels/<name>/`: fetched by apt, unpacked there, never installed.

Why here: apt knows the mirror, checks signatures and honours the machine's proxies. It is given lists and a cache of
its own, so the machine's package state is not touched. A kernel folder holds `vmlinuz`, `config`, `vmlinux.btf`,
`release` and `lib/modules/<release>`; it appears under its name in one step. `initramfs` uses the modules.
"""

from __future__ import annotations

import fcntl
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.vm import CACHE, BenchError, bzimage, sources

SUITES = {"6.1": "bookworm", "6.12": "trixie", "newest": "sid"}
KERNELS = CACHE / "kernels"
APT = Path("/etc/apt")


@dataclass(frozen=True)
class Kernel:
    """A fetched kernel. `name` is what people type, `release` what `uname -r` says under it."""

    name: str
    folder: Path

    @property
    def image(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def btf(self) -> Path:
        return self.folder / "vmlinux.btf"

    @property
    def release(self) -> str:
        return (self.folder / "release").read_text().strip()

    @property
    def modules(self) -> Path:
        return self.folder / "lib/modules" / self.release


def fetched(name: str) -> Kernel:
    """The kernel of that name; it is fetched when it is not in the cache. Progress goes to stderr."""
    if name not in SUITES:
        raise BenchError(f"no kernel is called {name!r}; there are {', '.join(SUITES)}")
    kernel = Kernel(name, KERNELS / name)
    if kernel.folder.exists():
        return kernel
    KERNELS.mkdir(parents=True, exist_ok=True)
    with (KERNELS / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kernel.folder.exists():
            _fetch(name, SUITES[name], kernel.folder)
    return kernel


def of_release(release: str) -> Kernel:
    """The fetched kernel of which `uname -r` says this. Raises `BenchError`."""
    found = (Kernel(name, KERNELS / name) for name in SUITES if (KERNELS / name).exists())
    kernel = next((each for each in found if each.release == release), None)
    if kernel is None:
        raise BenchError(f"no kernel that was fetched has the release {release!r}")
    return kernel


def _say(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr, flush=True)


def _fetch(name: str, suite: str, destination: Path) -> None:
    for tool in ("apt-get", "apt-cache", "dpkg-deb", "depmod"):
        if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            raise BenchError(f"{tool} is needed to fetch the {name} kernel and is not installed")
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=KERNELS) as folder:
        work = Path(folder)
        work.chmod(0o755)
        release, packages = _download(suite, work)
        _say(f"unpacking Linux {release}")
        for package in packages:
            _checked(["dpkg-deb", "-x", str(package), str(work / "root")])
        kernel = _arrange(work / "root", release, work / "kernel")
        _say(f"taking the type information out of Linux {release}")
        (kernel / "vmlinux.btf").write_bytes(bzimage.btf((kernel / "vmlinuz").read_bytes()))
        kernel.rename(destination)
    _say(f"Linux {release} is ready as {name}")


def _download(suite: str, work: Path) -> tuple[str, list[Path]]:
    """The newest kernel release of `suite` and its package files."""
    places = _own_sources()
    if not places:
        raise BenchError(f"apt's sources under {APT} name no Debian archive: there is nowhere to fetch a kernel from")
    for source in places:
        with _apt(work, sources.for_suite(source, suite)) as options:
            _say(f"asking the Debian mirror for the kernel of {suite}")
            if subprocess.run(["apt-get", *options, "update", "-qq"], check=False, stdin=subprocess.DEVNULL).returncode:
                continue
            release, names = _packages(options)
            _say(f"fetching Linux {release}")
            (work / "debs").mkdir()
            _checked(["apt-get", *options, "-qq", "download", *names], cwd=work / "debs")
            return release, sorted((work / "debs").glob("*.deb"))
    raise BenchError(f"the Debian mirror of this machine could not be asked for {suite}; apt's messages are above")


def _own_sources() -> list[sources.Source]:
    release = Path("/etc/os-release").read_text()
    codename = re.search(r"^VERSION_CODENAME=\"?([a-z]+)", release, re.MULTILINE)
    if codename is None:
        raise BenchError("/etc/os-release names no Debian release: kernels are fetched with Debian's apt only")
    folder = APT / "sources.list.d"
    files = [APT / "sources.list", *sorted(folder.glob("*.sources")), *sorted(folder.glob("*.list"))]
    found = [source for file in files if file.exists() for source in sources.sources_in(file.read_text())]
    return sources.candidates(found, codename[1])


@contextmanager
def _apt(work: Path, source: str) -> Iterator[list[str]]:
    """Options that give apt lists, a cache and a source of its own."""
    (work / "next.sources").write_text(source)
    (work / "lists/partial").mkdir(parents=True, exist_ok=True)
    (work / "archives/partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::Etc::sourcelist": str(work / "next.sources"),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": str(work / "lists"),
        "Dir::Cache": str(work),
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "root",
    }
    yield [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _packages(options: list[str]) -> tuple[str, list[str]]:
    """Kernel release, and the packages that hold its image, modules and configuration (several since 7.x)."""
    depends = re.findall(
        r"Depends: (linux-image-\d\S+)", _checked(["apt-cache", *options, "depends", "linux-image-amd64"])
    )
    if not depends:
        raise BenchError("the package linux-image-amd64 depends on no kernel image")
    release = depends[0].removeprefix("linux-image-")
    parts = _checked(["apt-cache", *options, "depends", depends[0]])
    return release, [depends[0], *re.findall(rf"Depends: (linux-(?:base|binary|modules)-{re.escape(release)})", parts)]


def _arrange(root: Path, release: str, kernel: Path) -> Path:
    """The unpacked packages in the layout of a kernel folder, with module dependencies worked out."""
    (kernel / "lib/modules").mkdir(parents=True)
    modules = [path for path in root.rglob(f"lib/modules/{release}") if path.is_dir()]
    images = [path for path in root.rglob("vmlinuz*") if path.is_file()]
    configs = [path for path in root.rglob("config*") if path.name in ("config", f"config-{release}")]
    if not (modules and images and configs and (modules[0] / "modules.builtin").exists()):
        raise BenchError(f"the packages of Linux {release} lack an image, modules or a configuration")
    images[0].rename(kernel / "vmlinuz")
    config = configs[0].read_bytes()
    (kernel / "config").write_bytes(lzma.decompress(config) if config.startswith(b"\xfd7zXZ") else config)
    modules[0].rename(kernel / "lib/modules" / release)  # last: since 7.x image and configuration lie in there too
    (kernel / "release").write_text(f"{release}\n")
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    subprocess.run(["depmod", "-b", str(kernel), release], check=True, env=environment, stderr=subprocess.DEVNULL)
    return kernel


def _checked(command: list[str], cwd: Path | None = None) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode:
        raise BenchError(f"`{' '.join(command[:1] + command[-2:])}` failed: {result.stderr.strip()}")
    return result.stdout
