#!/bin/bash
# Resolves the Python packages of pyproject.toml anew and writes their versions to requirements/constraints.txt.
# Run it to take newer versions; the result is committed.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
/usr/bin/python3 -m venv "$directory" # without the system's packages, so that every package is pinned
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --editable '.[dev]' >&2
{
	echo "# Made by tools/pin_packages.sh (make pin): the versions that are tested together."
	"$directory/bin/python" -m pip freeze --disable-pip-version-check --exclude-editable | LC_ALL=C sort -f
} >requirements/constraints.txt
echo "wrote requirements/constraints.txt" >&2
