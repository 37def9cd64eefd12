#!/bin/sh
# SPDX-License-Identifier: MIT
# exports.sh MAP DEF... - write the linker's version script from the lists of symbols.
set -eu
map=$1
shift
{
	echo "{"
	echo "global:"
	sed -n 's/^CU_[A-Z]* *(\([A-Za-z0-9_]*\),.*/	\1;/p' "$@"
	echo "local: *;"
	echo "};"
} >"$map.new"
mv "$map.new" "$map"
