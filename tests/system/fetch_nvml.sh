#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_nvml.sh DIR - programs that read NVML, unpacked below DIR: Debian 12's nvidia-smi 535 (non-free),
# nvtop and what that wants, and from PyPI nvidia-ml-py, gpustat and nvitop. 77: not available.
#
# apt works with lists and a cache of its own; the system's stay as they are.
set -eu
dir=$1
mirror=http://deb.debian.org/debian
keys=/usr/share/keyrings/debian-archive-keyring.gpg

debs() {
	[ -e "$dir/root/usr/bin/nvtop" ] && return 0
	[ -r "$keys" ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
		echo "no apt-get, dpkg or $keys here"
		exit 77
	}
	mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/deb"
	echo "deb [signed-by=$keys arch=amd64] $mirror bookworm main contrib non-free" >"$dir/apt/sources.list"
	set -- -qq -o "Dir::Etc::sourcelist=$dir/apt/sources.list" -o Dir::Etc::sourceparts=- \
		-o "Dir::State::lists=$dir/apt/lists" -o "Dir::Cache=$dir/apt/cache" -o APT::Sandbox::User=root
	apt-get "$@" update || {
		echo "apt-get could not read $mirror"
		exit 77
	}
	(cd "$dir/deb" && apt-get "$@" download nvidia-smi nvtop libncurses6 libncursesw6 libtinfo6 libdrm2 \
		libsystemd0 libudev1) || {
		echo "apt-get could not fetch nvidia-smi and nvtop"
		exit 77
	}
	rm -rf "$dir/root.part" "$dir/root"
	for deb in "$dir"/deb/*.deb; do
		dpkg -x "$deb" "$dir/root.part"
	done
	mv "$dir/root.part" "$dir/root"
}

wheels() {
	[ -e "$dir/python/pynvml.py" ] && return 0
	python3 -m pip --version >/dev/null 2>&1 || {
		echo "pip is not installed"
		exit 77
	}
	rm -rf "$dir/python.part"
	python3 -m pip install --quiet --no-input --disable-pip-version-check --root-user-action=ignore \
		--target "$dir/python.part" nvidia-ml-py==13.580.82 gpustat==1.1.1 nvitop==1.6.0 || {
		rm -rf "$dir/python.part"
		echo "pip could not fetch nvidia-ml-py, gpustat and nvitop"
		exit 77
	}
	mv "$dir/python.part" "$dir/python"
}

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
debs
wheels
