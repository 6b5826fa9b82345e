"""Compiles the probes with bcc, in a process of its own: LLVM never lives in the agent.

`compile_bundle` starts `python -m bulkhead.kernel.compiler`, which imports bcc, compiles, links and writes the bundle.
This is the only module that imports bcc. Next step: `bulkhead.kernel.bundle` caches what comes out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bulkhead.errors import InternalError, KernelUnable, ProgramRefused
from bulkhead.kernel.bundle import Bundle, bundle_key, write_bundle
from bulkhead.kernel.headers import read_types, write_headers
from bulkhead.kernel.kernel_btf import KernelTypes, has_busy_storage
from bulkhead.kernel.linker import link
from bulkhead.kernel.plan import (
    FUNCTIONS,
    KERNEL_FUNCTIONS,
    PROGRAMS,
    Parameters,
    Program,
    probes_directory,
    programs_for,
    render,
)

_IDMAPPED_SETATTR_PARAMETERS = 3
_TIMEOUT_S = 300  # 1.5 s on a machine of its own, 30 s in an emulated one


def compile_bundle(btf: Path, out: Path, bpf_lsm: bool = True) -> None:
    """Compile for the kernel whose BTF is in the file `btf`, into the bundle `out`, which is replaced whole.

    `bpf_lsm` says whether BPF LSM is active there.

    Raises `ProgramRefused` with the compiler's messages where the probes do not compile.
    """
    command = [
        sys.executable,
        "-m",
        "bulkhead.kernel.compiler",
        str(btf.resolve()),
        str(out.resolve()),
        str(int(bpf_lsm)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, env=environment
        )
    except subprocess.TimeoutExpired:
        message = f"compiling the probes took over {_TIMEOUT_S} s and was stopped; nothing was loaded"
        raise ProgramRefused(message) from None
    if result.returncode != 0:
        raise ProgramRefused(f"the probes do not compile for {btf}; nothing was loaded", log=result.stderr)


def parameters_of(types: KernelTypes, bpf_lsm: bool = True) -> Parameters:
    """What the kernel whose types are given has."""
    (setattr_program,) = (each for each in programs_for(bpf_lsm) if each.name == "inode_setattr")
    return Parameters(
        cgroup_storage=types.has_enumerator("bpf_map_type", "BPF_MAP_TYPE_CGRP_STORAGE"),
        storage_cache=types.has_enumerator("bpf_prog_type", "BPF_PROG_TYPE_NETFILTER"),  # as old as what it stands for
        idmapped_setattr=types.parameters(setattr_program.target) == _IDMAPPED_SETATTR_PARAMETERS,
        layers_have_paths=types.has_member("backing_file", "user_path"),
        direct_file_path=types.has_direct_member("file", "f_path"),
        task_from_pid=types.function("bpf_task_from_pid") is not None,
        readonly_cast=types.function("bpf_rdonly_cast") is not None,
        busy_task_storage=has_busy_storage(types.blob),
        bpf_lsm=bpf_lsm,
    )


def _is_there(program: Program, types: KernelTypes) -> bool:
    """Whether to have a program: only an optional one may lack its hook."""
    return not program.optional or types.parameters(program.target) is not None


def _compile(btf: Path, out: Path, bpf_lsm: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="bulkhead-compile-") as scratch:
        tree = Path(scratch) / "kernel"
        types = read_types(btf)
        write_headers(types, tree)
        parameters = parameters_of(types, bpf_lsm)
        empty = Path(scratch) / "empty"  # bcc also searches the working directory
        empty.mkdir()
        os.chdir(empty)
        os.environ["BCC_KERNEL_SOURCE"] = str(tree)
        compiled = _run_bcc(render(parameters))
    of_kernel = {number: types.function(name) for number, name in KERNEL_FUNCTIONS.items()}
    there = [program for program in programs_for(bpf_lsm) if _is_there(program, types)]
    programs = tuple(link(program, compiled, of_kernel) for program in there)
    write_bundle(Bundle(bundle_key(btf, bpf_lsm), parameters, programs), out)


def _run_bcc(text: str) -> dict[str, bytes]:
    from bcc import BPF  # noqa: PLC0415  # heavy, and wanted in this process only

    flags = [f"-I{probes_directory()}", f"-I{probes_directory()}/include", "-Wall", "-Werror"]
    flags += [
        "-Wno-unused-function",
        "-Wno-unused-variable",
        "-Wno-unused-but-set-variable",
    ]
    module = BPF(text=text, cflags=flags)
    names = [program.name for program in PROGRAMS] + [function.name for function in FUNCTIONS]
    compiled = {name: module.dump_func(name.encode()) for name in names}
    missing = [name for name, code in compiled.items() if not code]
    if missing:
        raise InternalError(f"bcc compiled no code for {', '.join(missing)}; nothing was loaded")
    return compiled


def compiler_version() -> str:
    """bcc's version, without importing it."""
    import importlib.metadata  # noqa: PLC0415
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.find_spec("bcc")
    if spec is None or spec.origin is None:
        raise KernelUnable(
            "compiling probes needs bcc (Debian: python3-bpfcc), which is not installed; nothing was loaded"
        )
    version = Path(spec.origin).with_name("version.py")
    return version.read_text().strip() if version.is_file() else importlib.metadata.version("bcc")


if __name__ == "__main__":
    _compile(Path(sys.argv[1]), Path(sys.argv[2]), bool(int(sys.argv[3])))
