#!/bin/sh
# SPDX-License-Identifier: MIT
# ollama.sh SOURCE DIR - a root DIR/root in which Ollama, built from its public source tree SOURCE (0.30 or later), stands
# as its own package would put it: /usr/bin/ollama, /usr/lib/ollama with llama-server, /usr/lib/ollama/cuda_v12 with the CUDA
# backend and NVIDIA's libraries. llama-server and the backend are Debian sid's. ollama_test.cc runs it.
#
#	git clone --branch v0.32.15 https://github.com/ollama/ollama /tmp/ollama
#	tests/system/ollama.sh /tmp/ollama build/programs/ollama
#	build/release/tests/system/system_ollama_test
#
# Needs Go as SOURCE/go.mod wants it, and build/programs/llama (fetch_debian.sh). Takes some ten minutes, most of it Go's.
set -eu
source=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
llama=$here/../../build/programs/llama/root
lib=$dir/part/usr/lib/ollama
triplet=usr/lib/x86_64-linux-gnu

if [ ! -e "$llama/usr/bin/llama-server" ]; then
	"$here/fetch_debian.sh" "$(dirname "$llama")" sid llama.cpp-tests llama.cpp-tools libggml0-backend-cuda
fi
(cd "$source" && go build -trimpath -o "$dir/ollama" .)

rm -rf "$dir/part" "$dir/root"
cp -a "$llama" "$dir/part"
mkdir -p "$lib/cuda_v12"
cp "$dir/ollama" "$dir/part/usr/bin/ollama"
cp "$dir/part/usr/bin/llama-server" "$dir/part/usr/bin/llama-quantize" "$lib/"
# The backend and what it is linked to lie in Ollama's directory and nowhere else.
mv "$dir/part/$triplet"/ggml/backends*/libggml-cuda.so "$lib/cuda_v12/"
for name in cudart cublas cublasLt; do
	mv "$dir/part/$triplet/lib$name".so.* "$lib/cuda_v12/"
done
for name in ggml-base ggml; do
	ln -s "../x86_64-linux-gnu/lib$name.so.0" "$lib/lib$name.so"
done
mkdir -p "$dir/part/models"
python3 "$here/tiny_gguf.py" "$dir/part/models/tiny.gguf"
cat >"$dir/part/models/Modelfile" <<EOF
FROM /models/tiny.gguf
PARAMETER num_ctx 256
PARAMETER num_predict 4
EOF
mv "$dir/part" "$dir/root"
