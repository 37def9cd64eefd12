#!/bin/bash
# SPDX-License-Identifier: MIT
# What ptxrun prints, on both tiers, and how it ends.
#	ptxrun.sh PTXRUN HAVE_LLVM
set -u
run=$1 llvm=$2
file=$(dirname "$0")/frontend/axpy.ptx
raw=$(mktemp)
trap 'rm -f "$raw"' EXIT
bad=0

# is EXIT TEXT ARGUMENT...: it ends so, and its output has TEXT (a pattern)
is() {
	local want=$1 text=$2 got out
	shift 2
	out=$("$run" "$@" 2>&1)
	got=$?
	if [[ $got != "$want" || $out != $text ]]; then
		printf 'ptxrun %s\n  exit %s, not %s, or unlike %q:\n%s\n' "$*" "$got" "$want" "$text" "$out"
		bad=1
	fi
}

tiers=(interpreter)
[[ $llvm == 1 ]] && tiers+=(compiled)
for t in "${tiers[@]}"; do
	is 0 $'1: 0 1 2 3 ...\n2: 1 3.5 6 8.5 ...' --tier=$t --block=48 --grid=2 --show=4 --out=2:"$raw" "$file" axpy \
		buf:f32:96=iota buf:f32:96=1 2.5 96
	[[ $(od -An -tf4 -j $((95 * 4)) "$raw" | tr -d ' ') == 238.5 ]] || { echo "$t: the file has other bytes"; bad=1; }
	is 1 "*axpy: error 700 in block (0, 0, 0), thread (0, 0, 0), line 25: *" --tier=$t "$file" axpy 0 0 1 32
done
is 0 "*fastest of 3: * ms*" --repeat=3 "$file" axpy buf:f32:32 buf:f32:32 0 32
is 0 "*.visible .entry axpy*1: 0 0*" --print=ptx "$file" axpy buf:u32:2 buf:f32:2 0 2
is 2 "*no kernel 'other'*  axpy" "$file" other
is 2 "*axpy has 4 parameters, 1 arguments were given" "$file" axpy 1
is 2 "*argument 4, 'x', for 4 bytes*" "$file" axpy 0 0 0 x
is 2 "*--block=2048: not a value*" --block=2048 "$file" axpy
is 2 "*No such file*" /nonexistent axpy
is 3 "*" "$0" axpy
exit $bad
