#!/bin/bash
# SPDX-License-Identifier: MIT
# Compile features.cu for several architectures, plain and with debug information, and let the front
# end and the interpreter's decoder take every kernel of it.
#	corpus.sh NVCC PTXDUMP DIRECTORY
set -eu
nvcc=$1 dump=$2 dir=$3
here=$(dirname "$0")
mkdir -p "$dir"

take() {
	local arch=$1
	shift
	"$nvcc" -std=c++17 -ptx -arch="compute_$arch" "$@" -o "$dir/features.ptx" "$here/features.cu"
	"$dump" --decode "$dir/features.ptx"
}

take 80
take 90 -lineinfo -rdc=true
take 90 -G
take 120
