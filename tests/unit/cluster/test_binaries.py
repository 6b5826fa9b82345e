"""Building programs from Go modules: what Go is told, and when it is not asked at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tools.cluster import BenchError, binaries, golang
from tools.cluster.binaries import Component

THING = Component("Thing", "example.org/thing", "1.36.3", ("cmd/thing",), ("thing",))

GO = """\
#!/bin/bash
case "$1 $2" in
"env GOVERSION") echo go1.26.9 ;;
"mod download") echo '{"GoMod": "'"$PWD"'/go.mod.theirs"}'; echo "module thing" >"$PWD/go.mod.theirs" ;;
"mod tidy") ;;
"list -deps") echo example.org/thing/cmd/thing ;;
"build -v") echo "example.org/thing/cmd/thing" >&2; BUILD ;;
esac
"""
SUCCESS = 'while [[ $1 != -o ]]; do shift; done; echo program >"$2/thing"; chmod +x "$2/thing"'
FAILURE = 'echo "thing.go:1: no such luck" >&2; exit 1'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a `go` in the path whose `go build` does as it is told by `use_go`."""
    monkeypatch.setattr(binaries, "CLUSTER", tmp_path)
    monkeypatch.setattr(binaries, "BIN", tmp_path / "bin")
    monkeypatch.setattr(binaries, "COMPONENTS", (THING,))
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    return tmp_path


def use_go(cache: Path, build: str) -> None:
    go = cache / "path/go"
    go.write_text(GO.replace("BUILD", build))
    go.chmod(go.stat().st_mode | stat.S_IXUSR)


def test_replaced_libraries_become_modules_of_the_same_release() -> None:
    """Kubernetes v1.36.3 has its libraries in its tree; elsewhere they are v0.36.3. Other replacements are not ours."""
    its_own = """\
module example.org/thing
replace (
	k8s.io/api => ./staging/src/k8s.io/api
	example.org/other => ../other
)
"""
    lines = binaries.module_file(THING, its_own).splitlines()
    assert "require example.org/thing v1.36.3" in lines
    assert [line for line in lines if line.startswith("replace")] == ["replace k8s.io/api => k8s.io/api v0.36.3"]


def test_programs_are_imported_so_that_tidy_keeps_what_they_need() -> None:
    """A line a program, in a file that no build takes."""
    text = binaries.imports_file(["a/x", "a/y"])
    assert 'import _ "a/x"\nimport _ "a/y"' in text
    assert text.startswith("//go:build tools\n")


def test_what_is_built_is_not_built_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second time Go is not even asked for its version; another recipe is built."""
    use_go(cache, SUCCESS)
    binaries.build()
    assert (cache / "bin/thing").read_text() == "program\n"
    assert "built Thing 1.36.3 in" in capsys.readouterr().err
    (cache / "path/go").unlink()
    assert binaries.build() == cache / "bin"
    assert capsys.readouterr().err == ""
    newer = Component("Thing", "example.org/thing", "1.36.4", ("cmd/thing",), ("thing",))
    assert not binaries.is_built(newer)
    (cache / "bin/thing").unlink()
    assert not binaries.is_built(THING)


def test_failed_build_shows_why_and_leaves_the_cache(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Go's complaint is shown, without the packages that it compiled; no stamp says that there is a program."""
    use_go(cache, FAILURE)
    with pytest.raises(BenchError, match="failed on Thing"):
        binaries.build()
    shown = capsys.readouterr().err
    assert "thing.go:1: no such luck" in shown
    assert "example.org/thing/cmd/thing\n" not in shown
    assert list((cache / "bin").iterdir()) == []
    assert not list(cache.glob(".build.*/*"))


@pytest.mark.parametrize(
    ("text", "expected"), [("go1.26.8\n", (1, 26)), ("go1.9", (1, 9)), ("devel +abc", (0, 0)), ("", (0, 0))]
)
def test_version_of_go(text: str, expected: tuple[int, int]) -> None:
    """What is no release counts as too old."""
    assert golang.version_of(text) == expected


def test_old_go_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine's Go is too old, the one of the cache is taken, and nothing is installed when it is there."""
    use_go(cache, SUCCESS)
    assert golang.go_command() == cache / "path/go"
    own = cache / "own/go/bin/go"
    own.parent.mkdir(parents=True)
    (cache / "path/go").rename(own)
    (cache / "path/go").write_text("#!/bin/bash\necho go1.19.8\n")
    (cache / "path/go").chmod(0o755)
    monkeypatch.setattr(golang, "OWN", cache / "own")
    assert golang.go_command() == own


def test_recipes_hold_what_decides() -> None:
    """Every component's recipe differs, and has its version in it."""
    texts = [binaries.recipe(component) for component in binaries.COMPONENTS]
    assert len(set(texts)) == len(texts)
    assert all(component.version in text for component, text in zip(binaries.COMPONENTS, texts, strict=True))
