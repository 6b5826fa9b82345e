"""Certificates, tokens and kubeconfig files."""

from __future__ import annotations

import base64
import csv
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.cluster import credentials
from tools.cluster.credentials import IDENTITIES, Credentials


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return credentials.make(tmp_path_factory.mktemp("run") / "credentials")


def openssl(*words: str | Path) -> str:
    return subprocess.run(["openssl", *words], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "purpose"), [("api-server", "sslserver"), ("kubelet", "sslserver"), ("kubelet-client", "sslclient")]
)
def test_certificates_are_the_authoritys_and_for_one_purpose(made: Credentials, name: str, purpose: str) -> None:
    """Each is signed by the run's authority, and good for what it is used for."""
    other = "sslclient" if purpose == "sslserver" else "sslserver"
    verify = ["verify", "-CAfile", made.authority, "-purpose"]
    assert "OK" in openssl(*verify, purpose, made.certificate(name))
    with pytest.raises(subprocess.CalledProcessError):
        openssl(*verify, other, made.certificate(name))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.2.2", "10.96.0.1"])
def test_api_server_is_known_under_all_its_addresses(made: Credentials, address: str) -> None:
    """This machine, the node and pods each reach it under another address."""
    text = openssl("x509", "-in", made.certificate("api-server"), "-noout", "-checkip", address)
    assert "does match" in text


def test_tokens_and_groups_are_what_the_api_server_reads(made: Credentials) -> None:
    """One line an identity: token, user, unique name, groups; the kubelet's is what NodeRestriction wants."""
    rows = {row[1]: row for row in csv.reader(made.tokens.read_text().splitlines())}
    assert len({row[0] for row in rows.values()}) == len(IDENTITIES)
    assert rows["system:node:bench-node"][3] == "system:nodes"
    assert rows["admin"][3] == "system:masters"
    assert len(rows["system:kube-scheduler"]) == 3
    assert made.token("admin") == rows["admin"][0]


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: identity.name)
def test_kubeconfig_has_address_authority_and_token(made: Credentials, identity: credentials.Identity) -> None:
    """A file that needs no other one, for each identity."""
    config = yaml.safe_load(made.kubeconfig(identity.name).read_text())
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == f"https://{identity.server}:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == made.authority.read_bytes()
    assert config["users"][0]["user"] == {"token": made.token(identity.name)}
    assert config["contexts"][0]["name"] == config["current-context"]
    assert config["contexts"][0]["context"]["user"] == config["users"][0]["name"]


def test_nobody_else_may_read_them(made: Credentials) -> None:
    """Keys and tokens are root's."""
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.folder.iterdir()} == {0o600}
