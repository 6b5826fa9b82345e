"""The tree of the base image: Debian as small as its slim image, from the mirror that this machine uses.

Why here: it stands in for `debian:bookworm-slim` where no image registry is reached, and it is the workload of tests in
a cluster. Left out is what slim leaves out, and glibc's converters of old character sets, which nothing here calls.
Pure. Next step: `builder` runs the command and makes an image of the tree.
"""

from __future__ import annotations

from pathlib import Path

SUITE = "bookworm"
# In this order: what is included again comes after what is excluded
PATHS = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/groff/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/lib/*/gconv/*.so",
)
# What mmdebstrap takes over from this machine
LEFTOVERS = ("etc/resolv.conf", "etc/hostname", "etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap")
# /usr is merged from the start: else the package that merges it brings all of perl
OPTIONS = (
    "--variant=minbase",
    "--mode=root",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--include=usr-is-merged",
    *(f"--dpkgopt={option}" for option in PATHS),
    f'--customize-hook=cd "$1" && rm -f {" ".join(LEFTOVERS)} etc/apt/sources.list.d/*',
)
DOCKERFILE = """\
FROM scratch
ADD tree.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["bash"]
"""
RECIPE = "\n".join((SUITE, *OPTIONS, DOCKERFILE))  # all that decides what the tree is, save the day


def command(sources: Path, settings: Path, tree: Path) -> list[str]:
    """What makes the archive `tree`, given apt's sources and settings in files."""
    return ["mmdebstrap", "--quiet", *OPTIONS, f"--aptopt={settings}", SUITE, str(tree), str(sources)]
