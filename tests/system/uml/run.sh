#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - the daemon behind a real CUSE node with real udev, in a kernel of its own.
#
# Boots Debian's user-mode-linux with this machine's root file system (it is a process: no
# privileges are needed for the kernel itself) and runs guest.sh in it. What is tested comes from
# the build tree through UML_* variables. Exit code 77: something is missing, and what.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

skip()
{
	echo "skipped: $*"
	exit 77
}

for v in "$UML_DAEMON" "$UML_WORKER" "$UML_LIBCUDA" "$UML_CLIENT"; do
	[ -e "$v" ] || skip "not built: $v"
done
uml=$(command -v linux.uml || command -v linux) || skip "needs the package user-mode-linux"
cuse=$(ls -1 /usr/lib/uml/modules/*/kernel/fs/fuse/cuse.ko 2>/dev/null | tail -n 1)
[ -n "$cuse" ] || skip "needs cuse.ko of the package user-mode-linux"
udevd=
for f in /usr/lib/systemd/systemd-udevd /lib/systemd/systemd-udevd; do
	[ -x $f ] && udevd=$f && break
done
[ -n "$udevd" ] || skip "needs systemd-udevd (package udev)"
for c in udevadm setpriv ldconfig; do
	PATH=$PATH:/usr/sbin:/sbin command -v $c >/dev/null || skip "needs $c"
done
[ -x /bin/busybox ] || skip "needs /bin/busybox (package busybox-static)"

# Its memory is a file: half a GiB of container /dev/shm is not enough for it.
memory=1024
scratch=/dev/shm
if [ "$(df -Pm $scratch 2>/dev/null | awk 'NR == 2 { print $4 }')" -lt $((memory + 64)) ]; then
	scratch=${TMPDIR:-/tmp}
fi

dir=$(mktemp -d /tmp/vgpu-uml.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 0755 "$dir"
mkdir "$dir/bin" "$dir/lib"
install -m 0755 "$UML_DAEMON" "$UML_WORKER" "$UML_CLIENT" "$dir/bin"
[ -n "$UML_DEMO" ] && install -m 0755 "$UML_DEMO" "$dir/bin"
install -m 0755 "$UML_LIBCUDA" "$dir/lib/libcuda.so.1"
install -m 0644 "$UML_SOURCE/udev/60-vgpu.rules" "$dir"
install -m 0755 "$here/guest.sh" "$dir/init"
printf '%s\ninclude /etc/ld.so.conf\n' "$dir/lib" >"$dir/ld.so.conf"
PATH=$PATH:/usr/sbin:/sbin ldconfig -X -f "$dir/ld.so.conf" -C "$dir/ld.so.cache"
cat >"$dir/settings" <<TEXT
DIR=$dir
MODULES=$(dirname "$cuse")
UDEVD=$udevd
TEXT
# A directory that others may not enter (a private home) would hide the programs: /tmp does not.

log=$dir/console
# shellcheck disable=SC2024
TMPDIR=$scratch timeout -k 5 300 "$uml" mem=${memory}M root=/dev/root rootfstype=hostfs \
	rootflags=/ rw "init=$dir/init" con=null con0=fd:0,fd:1 quiet </dev/null >"$log" 2>&1 || true
tr -d '\r' <"$log" | sed -n '/^guest:/,$p'
if ! tr -d '\r' <"$log" | grep -q '^guest: 0 failures$'; then
	grep -q '^guest:' "$log" || cat "$log"
	echo "FAILED"
	exit 1
fi
