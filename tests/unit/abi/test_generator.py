"""tools/gen_abi.py refuses a header that would not mean the same on both sides of the boundary."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import gen_abi
from tools.abi_header import HeaderError, read_header
from tools.generated_files import settle

SMALL = """\
#ifndef SMALL_H
#define SMALL_H
#define LENGTH 2u /* of a pair */
enum colour {
	COLOUR_RED = 0, /* warm */
	COLOUR_BLUE = 3,
};
struct pair {
	__u16 values[LENGTH]; /* network order */
	__u32 count;
};
#define BULKHEAD_MAPS(X) \\
	X(0x10, pairs, HASH, __u32, struct pair, LENGTH, NO_PREALLOC) \\
	X(0x11, events, RINGBUF, void, void, 4096, 0)
#endif
"""


def test_reads_what_the_header_says() -> None:
    """Constants, enumerators without prefix, offsets, sizes and comments are those of the text."""
    header = read_header(SMALL)
    assert [(item.name, item.value, item.comment) for item in header.constants] == [("LENGTH", 2, "of a pair")]
    assert [(item.name, item.value) for item in header.enumerations[0].members] == [("RED", 0), ("BLUE", 3)]
    pair = header.structures[0]
    assert [(item.name, item.offset, item.size, item.comment) for item in pair.fields] == [
        ("values", 0, 4, "network order"),
        ("count", 4, 4, ""),
    ]
    assert [(item.name, item.key_bytes, item.value_bytes, item.flags) for item in header.maps] == [
        ("pairs", 4, 8, ("NO_PREALLOC",)),
        ("events", 0, 0, ()),
    ]


def test_what_it_writes_is_python_with_that_layout() -> None:
    """The generated module can be executed, and ctypes agrees with the header's reader."""
    namespace: dict[str, object] = {}
    exec(gen_abi.render_python(read_header(SMALL)), namespace)
    assert bytes(namespace["Pair"](count=1)) == bytes([0, 0, 0, 0, 1, 0, 0, 0])  # type: ignore[operator]
    assert namespace["__all__"] == ["Colour", "LENGTH", "MAPS", "Pair"]


def test_the_compiler_is_asked_for_every_field() -> None:
    """abi_check.h asserts each structure's size and each field's offset."""
    text = gen_abi.render_assertions(read_header(SMALL))
    assert "sizeof(struct pair) == 8" in text
    assert "__builtin_offsetof(struct pair, values) == 0" in text
    assert "__builtin_offsetof(struct pair, count) == 4" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("LENGTH 2u", "LENGTH 1u", "struct pair: count: 2 bytes of implicit padding before it"),
        ("__u32 count;", "__u8 count; __u8 odd[2];", "struct pair: 1 bytes of implicit padding after odd"),
        ("__u32 count", "size_t count", "line 10: count: unknown type size_t"),
        ("__u32 count", "__s32 count", "line 10: count: unknown type __s32"),
        ("__u32 count", "struct stranger count", "struct pair: count: unknown type struct stranger"),
        ("__u32 count;", "__u32 count", "not C that is understood here"),
        ("__u32 count", "__u32 *count", "struct pair: count: only integers"),
        ("[LENGTH]", "[WIDTH]", "struct pair: values: WIDTH is not an integer literal"),
        ("struct pair, LENGTH", "struct stranger, LENGTH", "map pairs: unknown type struct stranger"),
        ("LENGTH, NO_PREALLOC", "WIDTH, NO_PREALLOC", "map pairs: WIDTH"),
        (", 4096, 0)", ", 4096)", "has 6 columns, not 7"),
        ("COLOUR_BLUE", "BLUE", "enum colour: BLUE does not start with COLOUR_"),
        ("COLOUR_BLUE = 3", "COLOUR_BLUE", "enum colour: COLOUR_BLUE needs a literal value"),
        ("2u /*", "(1u << 1) /*", "line 3: LENGTH: (1u << 1) is not an integer literal"),
        ("#ifndef SMALL_H", "#include <x.h>", "line 1: #include <x.h>: not a definition"),
    ],
)
def test_refuses(old: str, new: str, message: str) -> None:
    """What could be read two ways is an error that names the place."""
    assert old in SMALL
    with pytest.raises(HeaderError) as refused:
        read_header(SMALL.replace(old, new, 1))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("RINGBUF", "QUEUE", "map events: MapType.QUEUE is missing"),
        ("NO_PREALLOC", "ZERO_SEED", "map pairs: MapFlag.ZERO_SEED is missing"),
    ],
)
def test_refuses_maps_of_unknown_kind(old: str, new: str, message: str) -> None:
    """A map type that Python could not create is found when generating, not at import."""
    with pytest.raises(HeaderError, match=message):
        gen_abi.check_map_words(read_header(SMALL.replace(old, new)))


def test_check_writes_nothing_and_fails_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` shows the difference and how to mend it, and leaves the file alone."""
    stale = tmp_path / "stale.py"
    stale.write_text("old\n", encoding="utf-8")
    assert settle({stale: "new\n"}, check=True, remedy="make gen-x") == 1
    said = capsys.readouterr()
    assert "-old" in said.out
    assert "+new" in said.out
    assert "make gen-x" in said.err
    assert stale.read_text(encoding="utf-8") == "old\n"


def test_without_check_the_files_become_true(tmp_path: Path) -> None:
    """Stale files are rewritten, left-over ones removed, and a second run has nothing to do."""
    stale, left_over = tmp_path / "stale.py", tmp_path / "left_over.py"
    for path in (stale, left_over):
        path.write_text("old\n", encoding="utf-8")
    wanted = {stale: "new\n", left_over: ""}
    assert settle(wanted, check=False, remedy="") == 0
    assert stale.read_text(encoding="utf-8") == "new\n"
    assert not left_over.exists()
    assert settle(wanted, check=True, remedy="") == 0
