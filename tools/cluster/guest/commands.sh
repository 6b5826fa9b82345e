#!/bin/bash
# Runs commands in the node that come over a port of the virtual machine, one after the other: a line "ID SECONDS BASE64"
# in, a line "ID STATUS BASE64" out, with both output streams. See tools/cluster/channel.py.
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
	# a file of its own, no pipe: what a command leaves running may go on writing, and nobody waits for it
	output=$(mktemp /run/command.XXXXXX)
	timeout -k 5 "$seconds" bash -c "$(base64 -d <<<"$command")" &>"$output" </dev/null 3>&-
	echo "$id $? $(base64 -w 0 "$output")" >&3
	rm "$output"
done
