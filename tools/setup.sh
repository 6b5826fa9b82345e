#!/bin/bash
# Makes a Debian machine ready to build and test Bulkhead: system packages, then the Python environment in .venv.
# Says on stderr what it does; does only what is missing, and takes less than a second when nothing is.
# usage: setup.sh [cluster]     with `cluster` also what images and the cluster of the tests need
set -euo pipefail
cd "$(dirname "$0")/.."

# bcc is the compiler and loader; QEMU, busybox and the rest of its line are for the virtual machines; gcc and AppArmor are
# what probes' headers and costs are held against; openssl makes certificates for tests.
packages=(
	python3-bpfcc python3-venv
	qemu-system-x86 busybox-static kmod zstd
	gcc libc6-dev apparmor
	bpftool iproute2 openssl ca-certificates git make
)
# Images are built by buildah on a base by mmdebstrap; the rest is what a node has.
cluster_packages=(buildah mmdebstrap runc containernetworking-plugins nftables conntrack e2fsprogs)
[[ ${1:-} != cluster ]] || packages+=("${cluster_packages[@]}")

say() { echo "setup: $*" >&2; }

missing_packages() {
	local package
	for package in "${packages[@]}"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
	done
}

install_packages() {
	local missing
	mapfile -t missing < <(missing_packages)
	((${#missing[@]})) || return 0
	if ((EUID != 0)); then
		say "these packages are missing, and only root can install them; nothing was changed: ${missing[*]}"
		exit 1
	fi
	say "installing with apt: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >.cache/apt.log 2>&1 || {
		cat .cache/apt.log >&2
		say "apt could not install the packages above"
		exit 1
	}
}

# What the environment depends on, in one word.
fingerprint() {
	{ cat pyproject.toml requirements/constraints.txt tools/setup.sh; /usr/bin/python3 --version; pwd; } | sha256sum
}

install_environment() {
	local wanted
	wanted=$(fingerprint)
	[[ $(cat .venv/bulkhead.stamp 2>/dev/null) != "$wanted" ]] || return 0
	if [[ ! -x .venv/bin/python ]]; then
		say "making the Python environment in .venv"
		/usr/bin/python3 -m venv --system-site-packages .venv # system packages, because bcc is one
	fi
	say "installing Python packages as pinned in requirements/constraints.txt"
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
		--constraint requirements/constraints.txt --editable '.[dev]' >&2
	echo "$wanted" >.venv/bulkhead.stamp
}

mkdir -p .cache
exec 9>.cache/setup.lock
flock 9 # two of us at once would spoil each other's work
install_packages
install_environment
