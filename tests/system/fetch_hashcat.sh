#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_hashcat.sh DIR - Debian's hashcat in a root DIR/root, and NVRTC 13.0 of PyPI, which it asks for; 77: not available.
set -eu
dir=$1
here=$(cd "$(dirname "$0")" && pwd)

"$here/fetch_debian.sh" "$dir" bookworm hashcat
lib=$dir/root/usr/lib/x86_64-linux-gnu
[ -e "$lib/libnvrtc.so" ] && exit 0
python3 -m pip install --quiet --no-deps --no-input --no-cache-dir --disable-pip-version-check \
	--root-user-action=ignore --target "$dir/nvrtc" nvidia-cuda-nvrtc==13.0.88 || {
	rm -rf "$dir/nvrtc"
	echo "pip could not fetch NVRTC"
	exit 77
}
cp "$dir"/nvrtc/nvidia/cu13/lib/libnvrtc* "$lib/"
rm -rf "$dir/nvrtc"
# An OpenCL of the CPU would be a second device; it looks for its user's home and for /sys.
rm -rf "$dir/root/etc/OpenCL"
echo "root:x:0:0:root:/tmp:/bin/sh" >"$dir/root/etc/passwd"
ln -s libnvrtc.so.13 "$lib/libnvrtc.so"
