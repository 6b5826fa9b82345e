"""Kubernetes, etcd, containerd and Helm, built once from their Go modules into the ignored cache.

Why here: Go's module proxy is reached wherever Go programs are built, while release downloads and image registries
may not be; and what is built is exactly the versions named here. A component appears in one step with a stamp that
holds its recipe: the same recipe is never built twice. Next step: `control_plane` and `node` run what is built.
"""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import BIN, CLUSTER, HERE, BenchError, golang
from tools.cluster.progress import Bar, say

VERSION_PACKAGE = "k8s.io/component-base/version"
KUBERNETES = "1.36.3"
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
STAGED = re.compile(r"^\s*(\S+) => \./staging/", re.MULTILINE)


@dataclass(frozen=True)
class Component:
    """Programs built together. `module` at `version` holds `packages`; `programs` are their names in the cache.

    Where there are no packages the program is `main`, a file of ours that uses the module.
    """

    name: str
    module: str
    version: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    tags: str = ""
    ldflags: str = "-s -w"
    main: Path | None = None


COMPONENTS = (
    Component(
        "Kubernetes",
        "k8s.io/kubernetes",
        KUBERNETES,
        tuple(f"cmd/{name}" for name in KUBERNETES_PROGRAMS),
        KUBERNETES_PROGRAMS,
        ldflags=" ".join(
            (
                "-s -w",
                f"-X {VERSION_PACKAGE}.gitVersion=v{KUBERNETES}",
                f"-X {VERSION_PACKAGE}.gitMajor=1",
                f"-X {VERSION_PACKAGE}.gitMinor={KUBERNETES.split('.')[1]}",
            )
        ),
    ),
    Component("etcd", "go.etcd.io/etcd/server/v3", "3.6.6", ("",), ("etcd",)),
    Component(
        "containerd",
        "github.com/containerd/containerd/v2",
        "2.2.1",
        ("cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"),
        ("containerd", "containerd-shim-runc-v2", "ctr"),
        tags="no_btrfs no_devmapper no_zfs",
    ),
    Component("Helm", "helm.sh/helm/v4", "4.3.1", ("cmd/helm",), ("helm",)),
    # of the version whose Kubernetes libraries are Helm's: they are compiled once
    Component("CoreDNS", "github.com/coredns/coredns", "1.15.0", (), ("coredns",), main=HERE / "coredns.go"),
)


def build() -> Path:
    """The folder that holds all programs; those that are missing or of another recipe are built. Raises `BenchError`.

    A line a component goes to stderr. A build that fails leaves what was there before.
    """
    if all(is_built(component) for component in COMPONENTS):
        return BIN
    BIN.mkdir(parents=True, exist_ok=True)
    with (CLUSTER / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for component in COMPONENTS:
            if not is_built(component):
                _build(component, golang.go_command())
    return BIN


def recipe(component: Component) -> str:
    """All that decides what comes out, as text."""
    main = component.main.read_text() if component.main else ""
    fields = (component.module, component.version, *component.packages, component.tags, component.ldflags, main)
    return json.dumps(fields)


def is_built(component: Component) -> bool:
    """Whether the cache holds this component's programs, made by this recipe."""
    stamp = _stamp(component)
    complete = stamp.exists() and all((BIN / program).exists() for program in component.programs)
    return complete and stamp.read_text() == recipe(component)


def module_file(component: Component, its_own: str) -> str:
    """The go.mod of a module that needs this component, whose own go.mod is `its_own`.

    Kubernetes replaces its libraries by folders of its tree; outside of it they are modules of version v0.MINOR.PATCH.
    """
    lines = ["module bulkhead.dev/bench", f"go {golang.NEEDED[0]}.{golang.NEEDED[1]}"]
    lines.append(f"require {component.module} v{component.version}")
    staged = component.version.split(".", 1)[1]
    lines += [f"replace {name} => {name} v0.{staged}" for name in STAGED.findall(its_own)]
    return "\n".join(lines) + "\n"


def imports_file(packages: list[str]) -> str:
    """A Go file that needs these programs, so that `go mod tidy` keeps all that building them takes."""
    lines = [f'import _ "{package}"' for package in packages]
    return "//go:build tools\n\npackage bench\n\n" + "\n".join(lines) + "\n"


def _stamp(component: Component) -> Path:
    return BIN / f".{component.name.lower()}"


def _build(component: Component, go: Path) -> None:
    started = time.monotonic()
    say(f"building {component.name} {component.version}")
    packages = [f"{component.module}/{package}".rstrip("/") for package in component.packages] or ["."]
    with tempfile.TemporaryDirectory(prefix=".build.", dir=CLUSTER) as name:
        work = Path(name)
        (work / "module").mkdir()
        _write_module(component, packages, go, work / "module")
        _compile(component, packages, go, work)
        _put_in_place(component, work / "out")
    say(f"built {component.name} {component.version} in {time.monotonic() - started:.0f} s")


def _write_module(component: Component, packages: list[str], go: Path, module: Path) -> None:
    answer = _checked([go, "mod", "download", "-json", f"{component.module}@v{component.version}"], module)
    its_own = Path(json.loads(answer)["GoMod"]).read_text()
    (module / "go.mod").write_text(module_file(component, its_own))
    source = component.main.read_text() if component.main else imports_file(packages)
    (module / "bench.go").write_text(source)
    _checked([go, "mod", "tidy"], module)


def _compile(component: Component, packages: list[str], go: Path, work: Path) -> None:
    tags = ["-tags", component.tags] if component.tags else []
    needed = set(_checked([go, "list", *tags, "-deps", *packages], work / "module").splitlines())
    options = ["-v", "-trimpath", "-buildvcs=false", *tags, "-ldflags", component.ldflags, "-o", f"{work / 'out'}/"]
    (work / "out").mkdir()
    running = subprocess.Popen(
        [go, "build", *options, *packages],
        cwd=work / "module",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=golang.environment(),
    )
    bar, done, complaints = Bar(component.name, len(needed)), 0, []
    with running:
        assert running.stdout
        for line in running.stdout:  # -v names each package as it is compiled; the rest is what went wrong
            if line.strip() in needed:
                done += 1
                bar.show(done)
            else:
                complaints.append(line)
    bar.clear()
    if running.returncode:
        raise _failed(component.name, "".join(complaints))


def _put_in_place(component: Component, out: Path) -> None:
    stamp = _stamp(component)
    stamp.unlink(missing_ok=True)  # first: programs of two versions must not look complete
    for built in out.iterdir():
        # Go names a program after its folder, which is not always what it is called
        name = component.programs[0] if len(component.programs) == 1 else built.name
        built.rename(BIN / name)
    stamp.write_text(recipe(component))


def _checked(command: list[str | Path], folder: Path) -> str:
    result = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=golang.environment(),
    )
    if result.returncode:
        raise _failed(" ".join(str(word) for word in command[1:]), result.stderr or result.stdout)
    return result.stdout


def _failed(what: str, output: str) -> BenchError:
    print(output, file=sys.stderr, flush=True)
    return BenchError(f"`go` failed on {what}; its output is above, and the programs in the cache are as they were")
