#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_uml.sh DIR - a user-mode-linux that runs here, in DIR/root, where the installed one does not.
#
# Those before 6.13 have no room for all registers of a processor with AMX: the first process that they
# start dies. 77: none is to be had.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
here=$(cd "$(dirname "$0")" && pwd)
dir=$1

runs()
{
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/vgpu-uml.XXXXXX")
	TMPDIR=$scratch timeout -k 5 60 "$1" mem=64M root=/dev/root rootfstype=hostfs rootflags=/ ro \
		init=/bin/true "uml_dir=$scratch" con=null con0=fd:0,fd:1 </dev/null >"$scratch/console" 2>&1 || true
	! grep -q 'set fp regs failed' "$scratch/console"
	r=$?
	rm -rf "$scratch"
	return $r
}

uml=$(command -v linux.uml) || uml=
if [ -n "$uml" ]; then
	runs "$uml" && exit 0
	echo "$uml $("$uml" --version) does not run on this processor; fetching a later one"
fi
exec "$here/../fetch_debian.sh" "$dir" sid user-mode-linux
