#!/bin/sh
# SPDX-License-Identifier: MIT
# build_features.sh NVCC DIR - the feature_*.cu beside this script as programs in DIR, each with PTX for compute
# capabilities 7.5, 8.0, 9.0 and 12.0; 77: something is missing. cuRAND's headers come from PyPI.
set -eu
nvcc=$1
dir=$2
here=$(cd "$(dirname "$0")" && pwd)

if [ ! -x "$nvcc" ]; then
	echo "there is no nvcc"
	exit 77
fi
mkdir -p "$dir"
if [ ! -e "$dir/curand" ]; then
	rm -rf "$dir/part"
	python3 -m pip install --quiet --no-deps --no-input --no-cache-dir --disable-pip-version-check \
		--root-user-action=ignore --target "$dir/part" nvidia-curand==10.4.0.35 || {
		rm -rf "$dir/part"
		echo "pip could not fetch cuRAND's headers"
		exit 77
	}
	mkdir "$dir/headers"
	cp "$dir"/part/nvidia/cu13/include/curand*.h "$dir/headers/"
	rm -rf "$dir/part"
	mv "$dir/headers" "$dir/curand"
fi
# nvcc of a toolkit that was put together from parts does not know this place by itself.
cccl=$(dirname "$(dirname "$nvcc")")/include/cccl
for file in "$here"/feature_*.cu; do
	name=$(basename "$file" .cu)
	[ "$dir/$name" -nt "$file" ] && [ "$dir/$name" -nt "$0" ] && [ "$dir/$name" -nt "$here/feature.h" ] && continue
	"$nvcc" -std=c++17 -diag-suppress 20054 -I"$cccl" -I"$dir/curand" \
		-gencode arch=compute_75,code=compute_75 -gencode arch=compute_80,code=compute_80 \
		-gencode arch=compute_90,code=compute_90 -gencode arch=compute_120,code=compute_120 -o "$dir/$name" "$file"
done
