#!/bin/sh
# SPDX-License-Identifier: MIT
# check_headers.sh - the contract's headers stand alone, in C11 and C++17, without hidden padding.
#
# usage: CC=... CXX=... check_headers.sh
cd "$(dirname "$0")/../.." || exit 1

flags='-pedantic -Wall -Wextra -Wshadow -Werror -fsyntax-only -I.'
bad=0
for h in ioctl/*.h; do
	# The structs of ops.h never leave the process.
	padded=-Wpadded
	[ "$h" = ioctl/ops.h ] && padded=
	for c in "${CC:-cc} -std=c11 -x c" "${CXX:-c++} -std=c++17 -x c++"; do
		# From standard input, so that it is no "main file" with a #pragma or guard warning.
		if ! echo "#include \"$h\"" | $c $flags $padded -; then
			echo "$h: not with $c $padded"
			bad=1
		fi
	done
done
exit $bad
