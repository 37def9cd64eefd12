#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_cdi.sh DIR - the published JSON schema of CDI, out of Debian's package of its sources, into DIR.
set -eu
dir=$1
package=golang-github-container-orchestrated-devices-container-device-interface-dev
[ -s "$dir/schema.json" ] && exit 0
skip() { echo "skipped: $*"; exit 77; }
command -v apt-get >/dev/null || skip "no apt-get here"
mkdir -p "$dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download -q "$package") >"$dir/log" 2>&1 || skip "apt-get cannot download $package"
dpkg -x "$work"/*.deb "$work/x"
find "$work/x" -path '*/schema/*.json' -not -path '*/testdata/*' -exec cp {} "$dir/" \;
[ -s "$dir/schema.json" ] || { echo "$package has no schema/schema.json"; exit 1; }
