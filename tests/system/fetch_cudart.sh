#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_cudart.sh DIR - shared CUDA runtimes 11.8, 12.4 and 13.0 from PyPI under DIR/<version>; 77: not available.
set -eu
dir=$1

fetch() {
	set -- "$1" "$2" "$dir/$1"
	[ -e "$3/nvidia" ] && return 0
	# Unpacked beside and moved, so that what is there is complete.
	rm -rf "$3.part"
	python3 -m pip install --quiet --no-deps --no-input --disable-pip-version-check \
		--root-user-action=ignore --target "$3.part" "$2" || {
		rm -rf "$3.part"
		echo "pip could not fetch $2"
		exit 77
	}
	mv "$3.part" "$3"
}

if ! python3 -m pip --version >/dev/null 2>&1; then
	echo "pip is not installed"
	exit 77
fi
mkdir -p "$dir"
fetch 11.8 nvidia-cuda-runtime-cu11==11.8.89
fetch 12.4 nvidia-cuda-runtime-cu12==12.4.127
fetch 13.0 nvidia-cuda-runtime==13.0.96
