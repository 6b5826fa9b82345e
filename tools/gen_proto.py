"""Makes agent/bulkhead of proto/bulkhead: messages, services, and the types of both.

The protocol compiler is the one of grpcio-tools, so its version is pinned with the other Python packages.
`--check` writes nothing and compares.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tools.generated_files import ROOT, check_asked, settle
from tools.grpc_stubs import render_stubs

SOURCES = ROOT / "proto"
PACKAGES = (Path("bulkhead/v1"), Path("bulkhead/nri/v1alpha1"))
TARGET = ROOT / "agent"
REMEDY = "make gen-proto"


class ProtoError(Exception):
    """The protocol compiler refused the sources; it has said why on stderr."""


def generate(sources: Path) -> dict[Path, str]:
    """Texts by path below the source root of Python; `sources` is the directory that holds the packages."""
    names = sorted(str(path.relative_to(sources)) for path in _files(sources, "*.proto"))
    if not names:
        return {}
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        _compile(sources, names, output)
        described = FileDescriptorSet.FromString((output / "descriptors").read_bytes())
        with_services = {_module(file.name): file for file in described.file if file.service and file.name in names}
        texts = {}
        for path in _files(output, "*"):
            if path.name.endswith("_pb2_grpc.py") and _dotted(path, output).removesuffix("_grpc") not in with_services:
                continue  # the compiler writes a module for files without services, too
            texts[path.relative_to(output)] = path.read_text(encoding="utf-8")
    modules = {name: _module(file.name) for file in described.file for name in _message_names(file)}
    for module, file in with_services.items():
        texts[Path(*f"{module}_grpc".split(".")).with_suffix(".pyi")] = render_stubs(file, modules)
    return texts


def _files(root: Path, pattern: str) -> list[Path]:
    """The files of all packages below a root."""
    return sorted(path for package in PACKAGES for path in (root / package).glob(pattern))


def _compile(sources: Path, names: list[str], output: Path) -> None:
    from grpc_tools import _proto, protoc  # noqa: PLC0415  # loads the compiler, which takes its time

    builtin = Path(_proto.__path__[0])
    arguments = ["protoc", f"-I{sources}", f"-I{builtin}", "--include_imports"]
    arguments += [f"--{plugin}_out={output}" for plugin in ("python", "pyi", "grpc_python")]
    if protoc.main([*arguments, f"--descriptor_set_out={output / 'descriptors'}", *names]) != 0:
        raise ProtoError


def _module(proto_name: str) -> str:
    """`bulkhead/v1/batch.proto` → `bulkhead.v1.batch_pb2`."""
    return proto_name.removesuffix(".proto").replace("/", ".") + "_pb2"


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts)


def _message_names(file: FileDescriptorProto) -> list[str]:
    return [f".{file.package}.{message.name}" for message in file.message_type]


def main() -> int:
    check = check_asked(__doc__)
    try:
        files = {TARGET / path: text for path, text in generate(SOURCES).items()}
    except ProtoError:
        print("proto: the sources do not compile; nothing was written", file=sys.stderr)
        return 1
    left_over = {path: "" for path in _files(TARGET, "*_pb2*.py*") if path not in files}
    return settle(files | left_over, check=check, remedy=REMEDY)


if __name__ == "__main__":
    sys.exit(main())
