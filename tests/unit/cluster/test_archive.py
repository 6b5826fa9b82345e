"""Image archives: what is written is what containerd and docker read."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tools.cluster import BenchError, archive, images_disk

NAME = "local.test/thing:1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file and a link to it."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/thing").write_text("program")
    (root / "bin/thing").chmod(0o755)
    (root / "bin/alias").symlink_to("thing")
    return root


def written(folder: Path, path: Path, name: str = NAME) -> Path:
    archive.write(path, name, folder, ["/bin/thing"])
    return path


def test_every_digest_is_that_of_its_content(folder: Path, tmp_path: Path) -> None:
    """Manifest, configuration and layer name each other by what they hold."""
    with tarfile.open(written(folder, tmp_path / "a.tar")) as whole:
        content = {member.name: whole.extractfile(member).read() for member in whole}  # type: ignore[union-attr]
    (entry,) = json.loads(content["manifest.json"])
    config = json.loads(content[entry["Config"]])
    (layer,) = entry["Layers"]
    assert entry["RepoTags"] == [NAME]
    assert entry["Config"] == hashlib.sha256(content[entry["Config"]]).hexdigest() + ".json"
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(content[layer]).hexdigest()]
    assert config["config"]["Entrypoint"] == ["/bin/thing"]


def test_files_belong_to_root_and_keep_mode_and_links(folder: Path, tmp_path: Path) -> None:
    """Whoever made the folder, in the image its files are root's."""
    with tarfile.open(written(folder, tmp_path / "a.tar")) as whole:
        (layer,) = [name for name in whole.getnames() if name.endswith("layer.tar")]
        data = whole.extractfile(layer)
        assert data is not None
        with tarfile.open(fileobj=io.BytesIO(data.read())) as inner:
            members = {member.name: member for member in inner}
    assert {member.uid for member in members.values()} == {0}
    assert members["bin/thing"].mode == 0o755
    assert members["bin/alias"].linkname == "thing"


def test_same_folder_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Nothing of the clock gets into an image, so the node's disk need not be made anew."""
    first = written(folder, tmp_path / "a.tar").read_bytes()
    (folder / "bin/thing").touch()
    assert written(folder, tmp_path / "b.tar").read_bytes() == first


def test_names_are_those_written(folder: Path, tmp_path: Path) -> None:
    """An archive says what it holds."""
    assert archive.names(written(folder, tmp_path / "a.tar")) == [NAME]


def test_what_is_no_image_archive_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    text = tmp_path / "text.tar"
    text.write_text("no archive" * 100)
    with pytest.raises(BenchError, match=r"text\.tar is no image archive"):
        archive.manifests(text)
    with tarfile.open(tmp_path / "other.tar", "w"):
        pass
    with pytest.raises(BenchError, match=r"other\.tar is no image archive.*neither manifest\.json nor index\.json"):
        archive.manifests(tmp_path / "other.tar")


def test_disks_are_told_apart_by_what_the_images_hold(folder: Path, tmp_path: Path) -> None:
    """Another content or name is another disk; another order of the archives, or a copy, is not."""
    one = archive.manifests(written(folder, tmp_path / "a.tar"))
    renamed = archive.manifests(written(folder, tmp_path / "b.tar", "local.test/thing:2"))
    (folder / "bin/thing").write_text("changed")
    changed = archive.manifests(written(folder, tmp_path / "c.tar"))
    assert len({images_disk.key(some) for some in ([one], [renamed], [changed], [one, changed])}) == 4
    assert images_disk.key([one, changed]) == images_disk.key([changed, one])
