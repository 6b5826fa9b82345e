"""Apt sources of another Debian release, derived from the machine's own.

Why here: a kernel of another release must come from the mirror that this machine already trusts and reaches, so no host
is named in this repository. Pure: text in, text out; `kernels` hands the result to apt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")


@dataclass(frozen=True)
class Source:
    """One place that offers packages of one or more suites. `options` are deb822 fields such as Signed-By."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()


def sources_in(text: str) -> list[Source]:
    """The binary package sources of one apt file, whether it has deb822 stanzas or one source a line."""
    if re.search(r"^Types:", text, re.MULTILINE | re.IGNORECASE):
        return list(_stanzas(text))
    return list(_lines(text))


def _stanzas(text: str) -> Iterator[Source]:
    without_comments = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields = {}
        for match in re.finditer(r"^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE):
            fields[match[1].lower()] = match[2].strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        kept = tuple((name, fields[name]) for name in ("signed-by", "trusted") if name in fields)
        uris, suites, components = (tuple(fields.get(name, "").split()) for name in ("uris", "suites", "components"))
        yield Source(uris, suites, components, kept)


def _lines(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = ONE_LINE.match(line.split("#")[0].strip())
        if match is None:
            continue
        pairs = (option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
        kept = tuple((name.lower(), value) for name, value in pairs if name.lower() in ("signed-by", "trusted"))
        yield Source((match["uri"],), (match["suite"],), tuple(match["components"].split()), kept)


def candidates(sources: list[Source], codename: str) -> list[Source]:
    """Sources that may be Debian's main archive, the likeliest first.

    Others publish suites named after Debian's too; Debian's archive is the one that signs with the archive's keyring
    and offers updates beside the release.
    """

    def doubt(source: Source) -> tuple[bool, bool]:
        signed = any("debian-archive" in value for _, value in source.options)
        return (not signed, f"{codename}-updates" not in source.suites)

    return sorted((s for s in sources if codename in s.suites and "main" in s.components), key=doubt)


def for_suite(source: Source, suite: str) -> str:
    """The deb822 stanza that offers `suite` from where `source` comes from."""
    fields = [("Types", "deb"), ("URIs", " ".join(source.uris)), ("Suites", suite), ("Components", "main")]
    fields += [(name.title(), value) for name, value in source.options]
    return "".join(f"{name}: {value}\n" for name, value in fields)
