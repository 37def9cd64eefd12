#!/bin/sh
# SPDX-License-Identifier: MIT
# names.sh NVML_H LIBRARY - every function that the header declares is exported, and nothing else but
# the private table's.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# Declarations alone: comments name functions, too, and macros give some of them second names.
tr '\n' ' ' <"$1" | sed 's|/\*|\n/*|g; s|\*/|*/\n|g' | sed 's|/\*.*\*/||' | tr -d '\n' | sed 's/;/;\n/g' |
	sed -n 's/.*DECLDIR *\(char *\* *\)\{0,1\}\(DEPRECATED([0-9.]*) *\)\{0,1\}\(nvml[A-Za-z0-9_]*\) *(.*/\3/p' |
	sort -u >"$tmp/declared"
nm -D --defined-only "$2" | awk '$2 == "T" { print $3 }' | sort -u >"$tmp/exported"
[ "$(wc -l <"$tmp/declared")" -gt 300 ] || { echo "no declarations found in $1"; exit 1; }
echo nvmlInternalGetExportTable | sort -u - "$tmp/declared" | diff - "$tmp/exported"
