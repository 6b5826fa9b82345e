#!/bin/bash
# The node: containerd, kubelet and kube-proxy, in a guest of tools/vm. Ends when one of them does, and the guest with it.
# Its output is what the bench shows while the node starts. usage: node.sh SETTINGS (see tools/cluster/node.py)
set -euo pipefail
. "$1"
PATH=$BIN:$PATH
unset XDG_RUNTIME_DIR # else `runc exec` looks for /run/user/0

say() { echo "node: $*"; }

device() { # waits for a block or character device; drivers are loaded but may not have looked yet
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		[[ ! -e $1 ]] || return 0
		sleep 0.1
	done
	say "there is no $1"
	exit 1
}

prepare_files() {
	mount --make-rshared / # mounts of containers are seen by the kubelet, and the other way about
	modprobe -a virtio_blk ext4 overlay
	device /dev/vda
	mkdir -p "$DISK" "$KUBELET_ROOT" /var/log/pods "$CNI_CONFIG"
	mount -t ext4 /dev/vda "$DISK"
	mkdir -p "$DISK/kubelet" "$DISK/pods"
	mount --bind "$DISK/kubelet" "$KUBELET_ROOT" # what pods write to their volumes takes no memory
	mount --bind "$DISK/pods" /var/log/pods
	for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
		echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
	done
}

prepare_network() {
	modprobe -a virtio_net br_netfilter nf_conntrack
	device /sys/class/net/eth0
	ip link set eth0 up
	ip addr add "$NODE_IP/24" dev eth0
	ip route add default via "$GATEWAY"
	echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables # answers between pods of one service pass kube-proxy's rules
	nft -f "$CONFIG/rules.nft"
	cp "$CONFIG/network.json" "$CNI_CONFIG/10-bench.conflist"
}

start() { # NAME ARGUMENT...
	local name=$1
	shift
	"$name" "$@" >"$RESULTS/$name.log" 2>&1 &
	started[$!]=$name
}

declare -A started=()
hostname "$NODE_NAME"
prepare_files
prepare_network
"$COMMANDS" </dev/null &
say "booted $(uname -r)"
start kube-proxy "${PROXY_ARGUMENTS[@]}"
start containerd --config "$CONFIG/containerd.toml"
while [[ ! -S $CONTAINERD ]]; do
	kill -0 $! # it ends where its configuration is wrong
	sleep 0.2
done
say "containerd answers"
start kubelet --config "$CONFIG/kubelet.json" "${KUBELET_ARGUMENTS[@]}"
wait -n -p ended "${!started[@]}" || true
say "${started[$ended]} ended; the node ends with it"
exit 1
