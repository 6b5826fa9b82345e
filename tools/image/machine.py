"""What a build needs of this machine to reach its registries: apt's and pip's configuration, certificate authorities.

Why here: it must be there while an image is built and must not stay. So it is collected in two folders that are mounted
over directories which the base image has: over /etc/apt and over root's home, where pip looks, too. Mounted files would
leave empty ones behind. Pure but for `staged` and `marks`. Next step: `builder` mounts them, `traces` searches.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from tools.image import ImageError
from tools.vm import sources

APT = Path("/etc/apt")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
# Another name than its own, or the package ca-certificates could not be installed during a build
BUNDLE = "machine.crt"


def staged(suite: str, folder: Path) -> dict[Path, str]:
    """Puts what builds need into `folder`; returns what is to be mounted where. Raises `ImageError`."""
    apt, home = folder / "apt", folder / "home"
    (apt / "apt.conf.d").mkdir(parents=True)
    (home / ".config/pip").mkdir(parents=True)
    for name in ("auth.conf", "auth.conf.d", "keyrings", "preferences.d", "trusted.gpg.d"):
        if (APT / name).is_dir():
            shutil.copytree(APT / name, apt / name)
        elif (APT / name).is_file():
            shutil.copy2(APT / name, apt / name)
    (apt / "preferences.d").mkdir(exist_ok=True)  # apt warns without
    (apt / "sources.list.d").mkdir()
    (apt / "sources.list.d/machine.sources").write_text(apt_sources(_apt_files(), suite))
    settings = apt_settings(_output(["apt-config", "dump"]))
    pip = pip_settings(_pip_config())
    if AUTHORITIES.is_file():
        shutil.copy2(AUTHORITIES, apt / BUNDLE)
        shutil.copy2(AUTHORITIES, home / BUNDLE)
        settings += f'Acquire::https::CAInfo "/etc/apt/{BUNDLE}";\n'
        pip["cert"] = f"/root/{BUNDLE}"
    (apt / "apt.conf.d/machine").write_text(settings)
    lines = [f"{name} = {value}\n" for name, value in pip.items()]
    (home / ".config/pip/pip.conf").write_text("".join(["[global]\n", *lines]))
    return {apt: "/etc/apt", home: "/root"}


def marks() -> set[bytes]:
    """What betrays this machine: hosts of its registries and proxies, and its own certificate authorities."""
    texts = [uri for text in _apt_files() for source in sources.sources_in(text) for uri in source.uris]
    texts += re.findall(r"^.*::Proxy\b.*$", apt_settings(_output(["apt-config", "dump"])), re.MULTILINE)
    texts += pip_settings(_pip_config()).values()
    texts += [value for name, value in os.environ.items() if name.lower() in ("http_proxy", "https_proxy")]
    certificates = [file.read_text() for file in OWN_AUTHORITIES.rglob("*.crt")]
    return {mark.encode() for mark in hosts(texts) | certificate_marks(certificates)}


def apt_sources(texts: Iterable[str], suite: str) -> str:
    """deb822 stanzas of every source in `texts` that offers Debian's `suite`, its updates or its security fixes."""
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    stanzas = []
    for source in (source for text in texts for source in sources.sources_in(text)):
        offered = [name for name in source.suites if name in wanted]
        if offered and "main" in source.components:
            stanzas.append(sources.for_suite(source, " ".join(offered)))
    if not stanzas:
        raise ImageError(f"apt's sources under {APT} do not offer Debian {suite}; nothing was built")
    return "\n".join(dict.fromkeys(stanzas))


def apt_settings(dump: str) -> str:
    """What `apt-config dump` says about how to fetch: proxies, checks. Not which indices: that is the desktop's."""
    lines = re.findall(r'^Acquire::(?!IndexTargets).+ ".+";$', dump, re.MULTILINE)
    return "".join(f"{line}\n" for line in lines)


def pip_settings(listing: str) -> dict[str, str]:
    """What `pip config list` says about where to fetch from, later lines over earlier ones."""
    found = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        setting = name.rpartition(".")[2]
        if setting in PIP_SETTINGS:
            found[setting] = " ".join(str(ast.literal_eval(value)).split())
    return found


def hosts(texts: Iterable[str]) -> set[str]:
    """The hosts of all addresses in `texts`, save this machine itself."""
    addresses = (address for text in texts for address in re.findall(r"[a-z+]+://[^\s\"'\]]+", text))
    return {host for address in addresses if (host := urlsplit(address).hostname) and host not in _HERE}


_HERE = {"localhost", "127.0.0.1", "::1"}


def certificate_marks(texts: Iterable[str]) -> set[str]:
    """A line out of the middle of each certificate: it holds the key, which no other certificate has."""
    bodies = (re.findall(r"-----BEGIN CERTIFICATE-----\s+(.+?)\s+-----END", text, re.DOTALL) for text in texts)
    lines = [body.split() for found in bodies for body in found]
    return {each[len(each) // 2] for each in lines}


def _apt_files() -> list[str]:
    folder = APT / "sources.list.d"
    files = [APT / "sources.list", *sorted(folder.glob("*.sources")), *sorted(folder.glob("*.list"))]
    return [file.read_text() for file in files if file.is_file()]


def _pip_config() -> str:
    return _output([sys.executable, "-m", "pip", "config", "list"])


def _output(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if result.returncode:
        raise ImageError(f"`{' '.join(command)}` failed: {result.stderr.strip()}; nothing was built")
    return result.stdout
