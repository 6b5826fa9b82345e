"""The configuration of what runs in the node: kubelet, containerd, bridge network, packet rules. Pure: data to text.

Why here: addresses and file names are decided on this side of the virtual machine. Next step: `node` writes these
texts where guest/node.sh reads them.
"""

from __future__ import annotations

import json

from tools.cluster import images
from tools.cluster.addresses import DNS_IP, NODE_IP, NODE_NAME, POD_NETWORK
from tools.cluster.credentials import Credentials

DISK = "/var/lib/bench"  # where the node mounts the disk of the images
KUBELET_ROOT = "/var/lib/kubelet"
CNI_CONFIG = "/run/cni/net.d"
CNI_PLUGINS = "/usr/lib/cni"  # Debian's
CONTAINERD = "/run/containerd/containerd.sock"


def kubelet(credentials: Credentials) -> str:
    """KubeletConfiguration: cgroups without systemd, and nothing evicted or collected for want of space."""
    never = {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%"}
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "failSwapOn": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(credentials.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(credentials.certificate("kubelet")),
        "tlsPrivateKeyFile": str(credentials.key("kubelet")),
        "enforceNodeAllocatable": [],
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_IP],
    }
    return json.dumps(config, indent=1) + "\n"


def kubelet_arguments(credentials: Credentials) -> list[str]:
    """What the kubelet takes on its command line only."""
    return [
        f"--kubeconfig={credentials.kubeconfig('kubelet')}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_IP}",
        f"--root-dir={KUBELET_ROOT}",
        f"--cert-dir={KUBELET_ROOT}/pki",
    ]


def proxy_arguments(credentials: Credentials) -> list[str]:
    """kube-proxy, which makes the addresses of services work in the node and its pods."""
    return [
        f"--kubeconfig={credentials.kubeconfig('proxy')}",
        f"--hostname-override={NODE_NAME}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={POD_NETWORK}",
        "--conntrack-max-per-core=0",
    ]


def containerd() -> str:
    """containerd with its images on the disk and runc without systemd; plugins have time, in an emulated machine."""
    return f"""\
version = 3
root = "{DISK}/containerd"
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.nri.v1.nri"]
  plugin_request_timeout = "10s"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{images.PAUSE}"
[plugins."io.containerd.cri.v1.runtime".cni]
  conf_dir = "{CNI_CONFIG}"
  bin_dirs = ["{CNI_PLUGINS}"]
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    SystemdCgroup = false
"""


def network() -> str:
    """The pods' network: a bridge whose address is their gateway."""
    ranges = [[{"subnet": POD_NETWORK}]]
    ipam = {"type": "host-local", "dataDir": "/run/cni/ipam", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    # hairpin: a pod may reach itself through its service
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": ipam}
    return json.dumps({"cniVersion": "1.0.0", "name": "bench", "plugins": [bridge]}, indent=1) + "\n"


def packet_rules() -> str:
    """QEMU's network knows the node's address only: what pods send out of the node carries that one."""
    return f"""\
table ip bench {{
	chain out {{
		type nat hook postrouting priority srcnat + 10
		ip saddr {POD_NETWORK} ip daddr != {POD_NETWORK} oifname != "cni0" masquerade
	}}
}}
"""
