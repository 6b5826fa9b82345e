"""What an image holds: read from an archive, judged by traces and sizes."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from tools.image.archive import Entry, layers, tree
from tools.image.sizes import measured, part_of, table
from tools.image.traces import found, traces

LIST = "var/lib/dpkg/info/setup.list"


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _image(path: Path, *contents: dict[str, bytes]) -> Path:
    names = [f"{at}.tar" for at in range(len(contents))]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": names}]).encode()
    tars = {name: _tar(files) for name, files in zip(names, contents, strict=True)}
    path.write_bytes(_tar({**dict(reversed(tars.items())), "manifest.json": manifest}))
    return path


def test_layers_are_read_from_the_lowest(tmp_path: Path) -> None:
    """In the manifest's order, whatever the archive's, with paths without a leading dot."""
    image = _image(tmp_path / "i.tar", {"./a": b"1"}, {"a": b"22"})
    assert [list(layer) for layer in layers(image)] == [[Entry("a", 1, b"1")], [Entry("a", 2, b"22")]]


def test_the_tree_is_what_a_container_sees() -> None:
    """A file that a later layer replaced or removed does not count; a folder is removed with all in it."""
    assert tree(
        [
            [("a", 1), ("d/x", 2), ("d/y/z", 3), ("dd", 4), ("e", 9)],
            [("a", 10), (".wh.d", 0), ("f/.wh.none", 0), (".wh.e", 0), ("e", 5)],
        ]
    ) == {"a": 10, "dd": 4, "e": 5}


def test_traces_are_found_in_every_layer(tmp_path: Path) -> None:
    """Also below what a later layer replaced, for whoever pulls the image gets that layer, too."""
    image = _image(tmp_path / "i.tar", {"etc/pip.conf": b"= https://mirror.example/x"}, {"etc/pip.conf": b""})
    assert found(image, {b"mirror.example", b"MIIB+x"}) == ["etc/pip.conf"]
    assert found(image, {b"other.example"}) == []


def test_files_of_packages_are_their_authors(tmp_path: Path) -> None:
    """A mirror that packages name is everybody's; our own package has no such excuse."""
    image = _image(
        tmp_path / "i.tar",
        {"usr/lib/setup": b"mirror.example", "usr/lib/setup2": b"mirror.example"},
        {LIST: b"/.\n/usr/lib/setup\n"},
    )
    assert found(image, {b"mirror.example"}) == ["usr/lib/setup2"]
    packages = "opt/bulkhead/lib/python3.11/site-packages"
    entries = [
        Entry(f"{packages}/{name}", 1, b"mirror.example") for name in ("requests/x.py", "bulkhead-1/direct.json")
    ]
    assert list(traces(entries, {b"mirror.example"}, set())) == [f"{packages}/bulkhead-1/direct.json"]


def test_no_marks_find_nothing() -> None:
    """A machine that nothing betrays is not betrayed by every file."""
    assert list(traces([Entry("a", 1, b"x")], set(), set())) == []


def test_sizes_are_summed_by_what_people_know(tmp_path: Path) -> None:
    """Libraries, Python packages and folders, the biggest first, under the total."""
    packages = "opt/bulkhead/lib/python3.11/site-packages"
    assert part_of(f"{packages}/grpc/_cython/libx.so") == "Python package grpc"
    assert part_of("usr/lib/x86_64-linux-gnu/libLLVM-14.so.1") == "libLLVM-14"
    assert part_of("usr/lib/python3.11/json/__init__.py") == "Python's standard library"
    assert part_of("usr/share/zoneinfo/Europe/Paris") == "/usr/share/zoneinfo"
    assert part_of("top") == "/"
    image = _image(tmp_path / "i.tar", {f"{packages}/grpc/a": b"x" * 200_000, "usr/bin/b": b"y" * 100_000})
    lines = table("agent", measured(image)).splitlines()
    assert [line.split(None, 2)[0] for line in lines] == ["0.3", "0.2", "0.1"]
    assert lines[0].endswith("agent, 2 files")
