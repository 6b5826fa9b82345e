"""Where apt fetches kernels from: derived from whatever the machine has."""

from __future__ import annotations

from tools.vm.sources import Source, candidates, for_suite, sources_in

STANZAS = """\
# comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://other.example/tool
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://mirror.example/sources
Suites: bookworm
Components: main
"""
LINES = """\
# deb http://commented.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m.example/debian bookworm main contrib
deb http://mirror.example/debian bookworm-updates main # trailing
"""


def test_stanzas() -> None:
    """Enabled binary sources are found, with who signs them."""
    assert sources_in(STANZAS) == [
        Source(
            ("http://mirror.example/debian",),
            ("bookworm", "bookworm-updates"),
            ("main",),
            (("signed-by", "/usr/share/keyrings/debian-archive-keyring.gpg"),),
        )
    ]


def test_lines() -> None:
    """One source a line, with options or without; comments and source packages are no such thing."""
    first, second = sources_in(LINES)
    assert first.components == ("main", "contrib")
    assert first.options == (("signed-by", "/usr/share/keyrings/debian-archive-keyring.gpg"),)
    assert (second.suites, second.components, second.options) == (("bookworm-updates",), ("main",), ())


def test_debians_archive_comes_first() -> None:
    """Of several that publish our release's name, the one signed by Debian's archive and with updates comes first."""
    keyring = (("signed-by", "/usr/share/keyrings/debian-archive-keyring.gpg"),)
    stranger = Source(("http://a",), ("bookworm",), ("main",), (("signed-by", "/etc/apt/keyrings/a.gpg"),))
    backports = Source(("http://b",), ("bookworm",), ("main",), keyring)
    archive = Source(("http://c",), ("bookworm", "bookworm-updates"), ("main",), keyring)
    elsewhere = Source(("http://d",), ("trixie",), ("main",), keyring)
    contrib = Source(("http://e",), ("bookworm",), ("contrib",), keyring)
    assert candidates([elsewhere, stranger, contrib, backports, archive], "bookworm") == [archive, backports, stranger]


def test_other_suite_from_the_same_place() -> None:
    """The written stanza reads back as the same place, with the other suite and main alone."""
    source = Source(("http://c",), ("bookworm",), ("main", "contrib"), (("signed-by", "/k.gpg"),))
    assert sources_in(for_suite(source, "sid")) == [
        Source(("http://c",), ("sid",), ("main",), (("signed-by", "/k.gpg"),))
    ]
