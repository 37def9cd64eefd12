#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_llama.sh DIR - llama.cpp's prebuilt CUDA backend from npm, unpacked under DIR; 77: not available.
set -eu
package=@node-llama-cpp/linux-x64-cuda
version=3.22.1
dir=$1

[ -e "$dir/package/bins/linux-x64-cuda/libggml-cuda.so" ] && exit 0
if ! command -v npm >/dev/null 2>&1; then
	echo "npm is not installed"
	exit 77
fi
mkdir -p "$dir"
cd "$dir"
npm pack --silent "$package@$version" || {
	echo "npm could not fetch $package"
	exit 77
}
tar xzf ./*.tgz
rm -f ./*.tgz
