#!/bin/sh
# SPDX-License-Identifier: MIT
# check_format.sh - every C and C++ file is laid out as .clang-format says.
#
# usage: check_format.sh [--fix] [FILE...]      without files: all of the tree
cd "$(dirname "$0")/../.." || exit 1

# What .clang-format is read by; other versions break some lines elsewhere.
version=14
tool=
for t in clang-format-$version clang-format; do
	case $($t --version 2>/dev/null) in
	*"version $version."*) tool=$t; break ;;
	esac
done
if [ -z "$tool" ]; then
	echo "skipped: no clang-format $version here"
	exit 77
fi

args='--dry-run -Werror'
if [ "$1" = --fix ]; then
	args=-i
	shift
fi
if [ $# -gt 0 ]; then
	exec $tool $args "$@"
fi
find ioctl cuse_dev libcuda tests \( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.hh' \) -print0 |
	sort -z | xargs -0 -n 32 -P 4 $tool $args
