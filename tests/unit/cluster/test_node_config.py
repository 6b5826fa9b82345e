"""What the node is configured with, read back by the parsers of those who read it."""

from __future__ import annotations

import json
import shlex
import subprocess
import tomllib
from pathlib import Path

from tools.cluster import addresses, images, node, node_config
from tools.cluster.credentials import Credentials

CREDENTIALS = Credentials(Path("/run 1/credentials"))


def test_settings_are_bashs(tmp_path: Path) -> None:
    """Paths with spaces and lists of arguments arrive as they were given."""
    settings = tmp_path / "settings"
    settings.write_text(node.settings(CREDENTIALS, Path("/a b"), Path("/c;d")))
    script = f'. {shlex.quote(str(settings))}; printf "%s\\n" "$CONFIG" "$RESULTS" "${{KUBELET_ARGUMENTS[0]}}"'
    result = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["/a b", "/c;d", "--kubeconfig=/run 1/credentials/kubelet.kubeconfig"]


def test_kubelet_asks_the_api_server_who_may() -> None:
    """Nobody gets in without a name, and the API server decides what they may."""
    config = json.loads(node_config.kubelet(CREDENTIALS))
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["authorization"] == {"mode": "Webhook"}
    assert config["clusterDNS"] == [addresses.DNS_IP]
    assert config["containerRuntimeEndpoint"] == f"unix://{node_config.CONTAINERD}"


def test_containerd_has_its_images_on_the_disk() -> None:
    """And takes the pause image from there: there is no registry."""
    config = tomllib.loads(node_config.containerd())
    assert config["root"].startswith(node_config.DISK)
    assert config["plugins"]["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": images.PAUSE}
    assert config["grpc"]["address"] == node_config.CONTAINERD


def test_pods_get_addresses_of_the_network_that_is_translated() -> None:
    """The bridge, kube-proxy and the packet rules speak of one network."""
    (bridge,) = json.loads(node_config.network())["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": addresses.POD_NETWORK}]]
    assert f"ip saddr {addresses.POD_NETWORK}" in node_config.packet_rules()
    assert f"--cluster-cidr={addresses.POD_NETWORK}" in node_config.proxy_arguments(CREDENTIALS)


def test_disk_stays_as_it_is_and_the_kubelet_is_reached_on_loopback_only() -> None:
    """Commas in paths do not end QEMU's options."""
    options = node.qemu_options(Path("/a,b/disk"), Path("/r"))
    assert "file=/a,,b/disk,if=virtio,format=raw,snapshot=on" in options
    assert "user,id=network,hostfwd=tcp:10.0.2.15:10250-:10250" in options
    assert "virtserialport,chardev=commands,name=commands" in options


def test_every_shell_script_is_one() -> None:
    """bash reads what runs in the guest and what fills its disk."""
    scripts = [*node.HERE.glob("guest/*.sh"), *node.HERE.glob("*.sh")]
    assert len(scripts) == 3
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
