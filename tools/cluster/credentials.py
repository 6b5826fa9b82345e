"""Who is who in the cluster: an authority, certificates, tokens and kubeconfig files, made anew for each run.

Why here: RBAC, the node authorizer and service account tokens are part of what is tested, so everyone has an
identity of its own, as in a real cluster. Programs prove who they are with tokens, because a line of a file is
easier to make and to read than a certificate; servers, and the API server towards the kubelet, with certificates.
`openssl` makes these. Next step: `control_plane` and `node` hand the files out.
"""

from __future__ import annotations

import base64
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import BenchError
from tools.cluster.addresses import API_SERVER_FROM_NODE, API_SERVER_IP, API_SERVER_PORT, LOOPBACK, NODE_IP, NODE_NAME

DAYS = "30"  # a run is shorter; a cluster that somebody leaves up is not
API_SERVER_NAMES = (
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
    "DNS:localhost",
    f"IP:{LOOPBACK}",
    f"IP:{API_SERVER_FROM_NODE}",
    f"IP:{API_SERVER_IP}",
)


@dataclass(frozen=True)
class Identity:
    """Somebody that the API server knows. `server` is where it reaches it."""

    name: str
    user: str
    groups: tuple[str, ...] = ()
    server: str = LOOPBACK


IDENTITIES = (
    Identity("admin", "admin", ("system:masters",)),
    Identity("controller-manager", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
    Identity("dns", "bench:dns"),
    Identity("kubelet", f"system:node:{NODE_NAME}", ("system:nodes",), API_SERVER_FROM_NODE),
    Identity("proxy", "system:kube-proxy", (), API_SERVER_FROM_NODE),
)


@dataclass(frozen=True)
class Credentials:
    """The files of one run, all in `folder`, which only root may enter."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def service_account_key(self) -> Path:
        return self.folder / "service-accounts.key"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def kubeconfig(self, name: str) -> Path:
        return self.folder / f"{name}.kubeconfig"

    def token(self, name: str) -> str:
        """The token of the identity of that name."""
        user = next(identity.user for identity in IDENTITIES if identity.name == name)
        lines = self.tokens.read_text().splitlines()
        return next(line.split(",")[0] for line in lines if line.split(",")[1] == user)


def make(folder: Path) -> Credentials:
    """All credentials of a run, in a new folder. Raises `BenchError`."""
    folder.mkdir(mode=0o700)
    made = Credentials(folder)
    _openssl("genrsa", "-out", str(made.service_account_key), "2048")
    _authority(made)
    _certificate(made, "api-server", "/CN=kube-apiserver", API_SERVER_NAMES)
    _certificate(made, "kubelet", f"/O=system:nodes/CN=system:node:{NODE_NAME}", (f"IP:{NODE_IP}", f"DNS:{NODE_NAME}"))
    _certificate(made, "kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", ())
    tokens = {identity.name: secrets.token_hex(16) for identity in IDENTITIES}
    made.tokens.write_text("".join(token_line(identity, tokens[identity.name]) for identity in IDENTITIES))
    for identity in IDENTITIES:
        text = kubeconfig(identity, tokens[identity.name], made.authority.read_bytes())
        made.kubeconfig(identity.name).write_text(text)
    for file in folder.iterdir():
        file.chmod(0o600)
    return made


def token_line(identity: Identity, token: str) -> str:
    """The line of the API server's token file: token, user, unique name, groups."""
    line = f"{token},{identity.user},{identity.user}"
    return f'{line},"{",".join(identity.groups)}"\n' if identity.groups else f"{line}\n"


def kubeconfig(identity: Identity, token: str, authority: bytes) -> str:
    """A kubeconfig file that needs no other file."""
    certificate = base64.b64encode(authority).decode()
    server = f"https://{identity.server}:{API_SERVER_PORT}"
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: bench
  cluster: {{server: "{server}", certificate-authority-data: {certificate}}}
users:
- name: {identity.name}
  user: {{token: {token}}}
contexts:
- name: bench
  context: {{cluster: bench, user: {identity.name}}}
current-context: bench
"""


def _authority(made: Credentials) -> None:
    key = made.key("ca")
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    _openssl(
        "req", "-x509", "-new", "-key", str(key), "-days", DAYS, "-subj", "/CN=bench-ca", "-out", str(made.authority)
    )


def _certificate(made: Credentials, name: str, subject: str, names: tuple[str, ...]) -> None:
    """A key and a certificate of our authority, for a server of these `names`; for a client where there are none."""
    key, request, extensions = made.key(name), made.folder / f"{name}.csr", made.folder / f"{name}.ext"
    usage = "serverAuth" if names else "clientAuth"
    lines = [f"extendedKeyUsage={usage}", *([f"subjectAltName={','.join(names)}"] if names else [])]
    extensions.write_text("\n".join(lines) + "\n")
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    _openssl("req", "-new", "-key", str(key), "-subj", subject, "-out", str(request))
    signing = ["-CA", str(made.authority), "-CAkey", str(made.key("ca")), "-CAcreateserial", "-days", DAYS]
    output = ["-extfile", str(extensions), "-out", str(made.certificate(name))]
    _openssl("x509", "-req", "-in", str(request), *signing, *output)
    request.unlink()
    extensions.unlink()


def _openssl(*words: str) -> None:
    try:
        result = subprocess.run(
            ["openssl", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise BenchError("openssl is needed to make the cluster's certificates and is not installed") from error
    if result.returncode:
        raise BenchError(f"`openssl {words[0]}` failed, and no cluster is started: {result.stderr.strip()}")
