"""What is taken from this machine for a build, and what betrays it afterwards."""

from __future__ import annotations

import pytest

from tools.image import ImageError
from tools.image.machine import apt_settings, apt_sources, certificate_marks, hosts, pip_settings

DEBIAN = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""
OTHERS = """\
deb http://tools.example/apt bookworm stable
deb http://tools.example/apt bookworm-tools main
"""


def test_sources_are_debians_for_the_release() -> None:
    """Release, updates and security fixes, once each; neither backports nor other publishers."""
    text = apt_sources([DEBIAN, OTHERS, DEBIAN], "bookworm")
    assert text.count("Suites: bookworm bookworm-updates\n") == 1
    assert text.count("Suites: bookworm-security\n") == 1
    assert "backports" not in text
    assert "tools.example" not in text


def test_a_machine_without_the_release_is_told() -> None:
    """No base image of another release is made in its place."""
    with pytest.raises(ImageError, match="do not offer Debian trixie; nothing was built"):
        apt_sources([DEBIAN, OTHERS], "trixie")


def test_apt_settings_are_those_of_fetching() -> None:
    """Proxies and checks come along; indices of desktops, hooks and empty settings do not."""
    dump = (
        'Acquire "";\nAcquire::http::Proxy "http://proxy.example:3128";\nAcquire::Languages:: "none";\n'
        'Acquire::IndexTargets::deb::DEP-11::MetaKey "x";\nDPkg::Post-Invoke:: "touch /x";\nAcquire::cdrom "";\n'
    )
    assert apt_settings(dump) == ('Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Languages:: "none";\n')


def test_pip_settings_are_those_of_fetching() -> None:
    """The environment wins over files, as pip lists it later; paths of this machine stay behind."""
    listing = (
        "global.index-url='https://one.example/simple'\nglobal.cert='/etc/bundle.pem'\n"
        "global.extra-index-url='\\nhttps://a.example\\nhttps://b.example'\n:env:.find-links='/opt/wheels'\n"
        ":env:.index-url='https://two.example/simple'\n"
    )
    assert pip_settings(listing) == {
        "index-url": "https://two.example/simple",
        "extra-index-url": "https://a.example https://b.example",
    }


def test_hosts_are_found_without_names_and_passwords() -> None:
    """What is searched for is the host alone, wherever an address names it."""
    assert hosts([DEBIAN, 'Proxy "http://me:secret@proxy.example:3128";', "http://localhost:1/"]) == {
        "mirror.example",
        "proxy.example",
    }


def test_certificates_are_known_by_a_line_of_their_own() -> None:
    """Each certificate of a file gives one line of its middle."""
    one, two = (f"-----BEGIN CERTIFICATE-----\n{x}1\n{x}2\n{x}3\n-----END CERTIFICATE-----\n" for x in "ab")
    assert certificate_marks([f"comment\n{one}{two}", ""]) == {"a2", "b2"}
