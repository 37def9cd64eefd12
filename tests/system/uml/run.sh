#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh door|package - the daemon behind a real CUSE node with real udev, in a kernel of its own.
#
# Boots Debian's user-mode-linux with this machine's root file system (it is a process: no
# privileges are needed for the kernel itself) and runs guest-door.sh in it, or, under systemd on an
# overlay, guest-package.sh, which installs the .deb. What is tested comes from the build tree
# through UML_* variables. Exit code 77: something is missing, and what.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mode=$1

skip()
{
	echo "skipped: $*"
	exit 77
}

for v in "$UML_DAEMON" "$UML_WORKER" "$UML_LIBCUDA" "$UML_CLIENT"; do
	[ -e "$v" ] || skip "not built: $v"
done
export PATH="$PATH:/usr/sbin:/sbin"
uml=$(command -v linux.uml || command -v linux) || skip "needs the package user-mode-linux"
cuse=$(ls -1 /usr/lib/uml/modules/*/kernel/fs/fuse/cuse.ko 2>/dev/null | tail -n 1)
[ -n "$cuse" ] || skip "needs cuse.ko of the package user-mode-linux"
udevd=
for f in /usr/lib/systemd/systemd-udevd /lib/systemd/systemd-udevd; do
	[ -x $f ] && udevd=$f && break
done
[ -n "$udevd" ] || skip "needs systemd-udevd (package udev)"
for c in udevadm setpriv ldconfig; do
	command -v $c >/dev/null || skip "needs $c"
done
[ -x /bin/busybox ] || skip "needs /bin/busybox (package busybox-static)"
if [ "$mode" = package ]; then
	[ "$(id -u)" = 0 ] || skip "needs root (files of the host are seen with its user's eyes)"
	[ -x /lib/systemd/systemd ] || skip "needs systemd"
	command -v dpkg >/dev/null || skip "needs dpkg"
fi

# Its memory is a file: the /dev/shm of most containers is too small for it.
memory=1024
scratch=/dev/shm
if [ "$(df -Pm $scratch 2>/dev/null | awk 'NR == 2 { print $4 }')" -lt $((memory + 64)) ]; then
	scratch=${TMPDIR:-/tmp}
fi

# Each file and directory of the host that it has in its cache is an open one of this process.
ulimit -n "$(ulimit -Hn)" || true

# In /tmp, where every user may go: a build tree may lie in a private home.
dir=$(mktemp -d /tmp/vgpu-uml.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 0755 "$dir"
mkdir "$dir/bin" "$dir/lib"
install -m 0755 "$UML_DAEMON" "$UML_WORKER" "$UML_CLIENT" "$dir/bin"
[ -z "$UML_DEMO" ] || install -m 0755 "$UML_DEMO" "$dir/bin"
install -m 0755 "$UML_LIBCUDA" "$dir/lib/libcuda.so.1"
install -m 0644 "$UML_SOURCE/udev/60-vgpu.rules" "$dir"
install -m 0755 "$here"/guest-*.sh "$dir"
printf '%s\ninclude /etc/ld.so.conf\n' "$dir/lib" >"$dir/ld.so.conf"
ldconfig -X -f "$dir/ld.so.conf" -C "$dir/ld.so.cache"
cat >"$dir/settings" <<TEXT
DIR=$dir
MODULES=$(dirname "$cuse")
UDEVD=$udevd
TEXT
init=$dir/guest-door.sh
if [ "$mode" = package ]; then
	init=$dir/guest-package-init.sh
	cpack -G DEB --config "$UML_BUILD/CPackConfig.cmake" -B "$dir/package" >"$dir/cpack" 2>&1 || {
		cat "$dir/cpack"
		exit 1
	}
fi

TMPDIR=$scratch timeout -k 5 350 "$uml" mem=${memory}M root=/dev/root rootfstype=hostfs \
	rootflags=/ rw "init=$init" con=null con0=fd:0,fd:1 quiet </dev/null >"$dir/console" 2>&1 || true
result=$dir/result
[ "$mode" = package ] || tr -d '\r' <"$dir/console" | sed -n '/^guest:/,$p' >"$result"
cat "$result" 2>/dev/null || true
if ! grep -q '^guest: 0 failures$' "$result" 2>/dev/null; then
	grep -q '^guest: .* failures$' "$result" 2>/dev/null || cat "$dir/console"
	echo "FAILED"
	exit 1
fi
