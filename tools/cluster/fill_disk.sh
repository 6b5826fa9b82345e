#!/bin/bash
# Makes a file system on WORK/disk and lets a containerd unpack image archives into it. Runs in name spaces of its own
# (see images_disk.py). usage: fill_disk.sh BIN WORK ARCHIVE...
set -euo pipefail
bin=$1 work=$2
shift 2
PATH=$bin:$PATH:/usr/sbin:/sbin
socket=$work/state/containerd.sock

mkdir "$work/mnt" "$work/state"
mkfs.ext4 -q -m 0 -O ^has_journal "$work/disk"
mount -o loop "$work/disk" "$work/mnt"
cat >"$work/config.toml" <<END
version = 3
root = "$work/mnt/containerd"
state = "$work/state"
disabled_plugins = ["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"]
[grpc]
  address = "$socket"
[ttrpc]
  address = "$socket.ttrpc"
END
containerd --config "$work/config.toml" &>"$work/containerd.log" &
daemon=$!
until [[ -S $socket ]]; do
	kill -0 $daemon || { cat "$work/containerd.log"; exit 1; }
	sleep 0.1
done
for archive; do
	ctr --address "$socket" --namespace k8s.io images import "$archive"
done
kill $daemon
wait $daemon || true
umount "$work/mnt"
