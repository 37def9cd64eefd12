#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_libs.sh DIR [SET...] - NVIDIA's libraries of CUDA 13.0 and 12.4 from PyPI under DIR/<set>; 77: not available.
#
# Sets: 13.0 (cuBLAS, cuFFT, cuRAND, cuSOLVER, cuSPARSE, NVRTC, nvJitLink), 13.0-dnn (cuDNN), 12.4. Without a
# SET: 13.0 alone, which is some 1.5 GB on disk.
set -eu
dir=$1
shift

packages() {
	case $1 in
	13.0)
		echo nvidia-cublas==13.1.0.3 nvidia-cufft==12.0.0.61 nvidia-curand==10.4.0.35 \
			nvidia-cusolver==12.0.4.66 nvidia-cusparse==12.6.3.3 nvidia-cuda-nvrtc==13.0.88 \
			nvidia-nvjitlink==13.0.88
		;;
	13.0-dnn)
		echo nvidia-cudnn-cu13==9.13.0.50
		;;
	12.4)
		echo nvidia-cublas-cu12==12.4.5.8 nvidia-cufft-cu12==11.2.1.3 nvidia-curand-cu12==10.3.5.147 \
			nvidia-cusolver-cu12==11.6.1.9 nvidia-cusparse-cu12==12.3.1.170 \
			nvidia-cuda-nvrtc-cu12==12.4.127 nvidia-nvjitlink-cu12==12.4.127
		;;
	*)
		echo "fetch_libs.sh: no set '$1'; there are 13.0, 13.0-dnn and 12.4" >&2
		exit 2
		;;
	esac
}

fetch() {
	list=$(packages "$1")
	[ -e "$dir/$1/nvidia" ] && return 0
	# Unpacked beside and moved, so that what is there is complete.
	rm -rf "$dir/$1.part"
	# shellcheck disable=SC2086
	python3 -m pip install --quiet --no-deps --no-input --no-cache-dir --disable-pip-version-check \
		--root-user-action=ignore --target "$dir/$1.part" $list || {
		rm -rf "$dir/$1.part"
		echo "pip could not fetch the libraries of $1"
		exit 77
	}
	# Headers are not needed, static libraries neither.
	rm -rf "$dir/$1.part"/nvidia/*/include "$dir/$1.part"/nvidia/*/lib/*.a
	mv "$dir/$1.part" "$dir/$1"
}

if ! python3 -m pip --version >/dev/null 2>&1; then
	echo "pip is not installed"
	exit 77
fi
mkdir -p "$dir"
[ $# -gt 0 ] || set -- 13.0
for name; do
	fetch "$name"
done
