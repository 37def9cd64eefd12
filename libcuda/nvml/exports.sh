#!/bin/sh
# SPDX-License-Identifier: MIT
# exports.sh MAP DEF - write the linker's version script from the list of symbols.
set -eu
{
	echo "{"
	echo "global:"
	sed -n 's/^NV_[A-Z]* *(\([A-Za-z0-9_]*\)[,)].*/	\1;/p' "$2"
	echo "local: *;"
	echo "};"
} >"$1.new"
mv "$1.new" "$1"
