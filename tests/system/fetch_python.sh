#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_python.sh DIR [SET...] - virtual environments DIR/<set> with programs from PyPI; 77: not available.
#
# Sets: numba (Numba and cuda.core; without nvJitLink, so that Numba links through the driver, which takes its
# PTX), cupy, torch (PyTorch and all it brings: 5 GB). Without a SET: numba and cupy.
set -eu
dir=$1
shift

packages() {
	case $1 in
	numba)
		echo numpy==2.4.6 numba-cuda==0.30.4 cuda-core==1.2.2 cuda-bindings==13.5.0 nvidia-nvvm==13.0.88 \
			nvidia-cuda-nvrtc==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 \
			nvidia-cuda-crt==13.0.88
		;;
	cupy)
		echo numpy==2.4.6 cupy-cuda13x==14.2.0 nvidia-cuda-nvrtc==13.0.88 nvidia-cuda-runtime==13.0.96 \
			nvidia-cuda-cccl==13.0.85 nvidia-cublas==13.1.0.3 nvidia-cufft==12.0.0.61 \
			nvidia-curand==10.4.0.35
		;;
	torch)
		echo numpy==2.4.6 torch==2.15.0
		;;
	*)
		echo "fetch_python.sh: no set '$1'; there are numba, cupy and torch" >&2
		exit 2
		;;
	esac
}

fetch() {
	list=$(packages "$1")
	[ "$(cat "$dir/$1/packages" 2>/dev/null)" = "$list" ] && return 0
	rm -rf "${dir:?}/$1"
	python3 -m venv "$dir/$1" || {
		echo "python3 cannot make a virtual environment"
		exit 77
	}
	# shellcheck disable=SC2086
	"$dir/$1/bin/python" -m pip install --quiet --no-input --no-cache-dir --disable-pip-version-check $list || {
		rm -rf "${dir:?}/$1"
		echo "pip could not fetch the programs of $1"
		exit 77
	}
	# Written last: what is there is complete.
	echo "$list" >"$dir/$1/packages"
}

command -v python3 >/dev/null 2>&1 || {
	echo "python3 is not installed"
	exit 77
}
mkdir -p "$dir"
[ $# -gt 0 ] || set -- numba cupy
for name; do
	fetch "$name"
done
