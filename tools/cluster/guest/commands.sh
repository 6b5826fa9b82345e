#!/bin/bash
# Runs commands in the node that come over a port of the virtual machine, one after the other: a line "ID SECONDS BASE64" in, a line "ID STATUS BASE64" out, with both output streams. See tools/cluster/channel.py.
set -uo pipefail

for entry in /sys/class/virtio-ports/*; do
	[[ $(<"$entry/name") != commands ]] || port=/dev/${entry##*/}
done
exec 3<>"$port"
while :; do
	if ! read -r -u 3 id seconds command; then # nobody is connected
		sleep 0.1
		continue
	fi
	output=$(timeout -k 5 "$seconds" bash -c "$(base64 -d <<<"$command")" 2>&1 </dev/null | base64 -w 0
		exit "${PIPESTATUS[0]}")
	echo "$id $? $output" >&3
done
