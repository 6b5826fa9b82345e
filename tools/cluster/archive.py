"""An image archive with one layer, written from a folder, and what such archives say about themselves.

Why here: the bench's own images are a program or two, and a builder of images is not to be needed for them. The
format is that of `docker save` (manifest.json, a configuration, a layer), which containerd imports. The same folder
gives the same bytes. Next step: `images` makes the bench's images with it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tools.cluster import BenchError

MANIFESTS = ("manifest.json", "index.json")  # of docker's archives, and of OCI's
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write(archive: Path, name: str, folder: Path, entrypoint: Sequence[str]) -> None:
    """Write the image `name`, a full reference with its tag, that has the files of `folder`, all of them root's."""
    layer = _layer(folder)
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [f"PATH={PATH}"], "Entrypoint": list(entrypoint)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": "1970-01-01T00:00:00Z"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]).encode()
    with tarfile.open(archive, "w") as whole:
        for path, content in ((layer_name, layer), (config_name, config), ("manifest.json", manifest)):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            whole.addfile(member, io.BytesIO(content))


def manifests(archive: Path) -> bytes:
    """What names the content of an image archive by its digests. Raises `BenchError` where it is none."""
    try:
        with tarfile.open(archive, "r:") as whole:
            found = [whole.extractfile(name) for name in MANIFESTS if name in whole.getnames()]
            text = b"".join(part.read() for part in found if part is not None)
    except (OSError, tarfile.TarError) as error:
        raise BenchError(f"{archive} is no image archive: {error}") from error
    if not text:
        raise BenchError(f"{archive} is no image archive: it has neither {' nor '.join(MANIFESTS)}")
    return text


def names(archive: Path) -> list[str]:
    """The references of the images in an archive of `docker save`; none where it has another format."""
    with tarfile.open(archive, "r:") as whole:
        part = whole.extractfile(MANIFESTS[0]) if MANIFESTS[0] in whole.getnames() else None
        entries = json.load(part) if part is not None else []
    return [tag for entry in entries for tag in entry.get("RepoTags") or []]


def _layer(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for path in sorted(folder.rglob("*")):
            layer.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=_as_roots)
    return buffer.getvalue()


def _as_roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = "root"
    return member
