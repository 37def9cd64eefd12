#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh door|package - the daemon behind a real CUSE node with real udev, in a kernel of its own.
#
# Boots Debian's user-mode-linux (it is a process: no privileges are needed for the kernel itself), the one
# that fetch_uml.sh fetched or the installed one, with a small system made of this machine's files
# (make-root.sh) on an image of its own, and runs guest-door.sh in it, or, under systemd,
# guest-package.sh, which installs the .deb. What is tested comes from the build tree through UML_*
# variables. Exit code 77: something is missing, and what.
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
fetched=$UML_FETCHED
if [ -e "$fetched" ]; then
	[ "$(id -u)" = 0 ] || skip "needs root (the user-mode-linux that was fetched runs in its own libraries)"
else
	command -v linux.uml >/dev/null || skip "needs the package user-mode-linux"
	fetched=
fi
modules=$(ls -1d "$fetched"/usr/lib/uml/modules/*/kernel/fs/fuse 2>/dev/null | tail -n 1)
[ -e "$modules/cuse.ko" ] || skip "needs cuse.ko of the package user-mode-linux"
for c in udevadm:udev setpriv:util-linux insmod:kmod mke2fs:e2fsprogs dpkg-query:dpkg; do
	command -v ${c%:*} >/dev/null || skip "needs ${c%:*} (package ${c#*:})"
done
[ -x /bin/busybox ] || skip "needs /bin/busybox (package busybox-static)"
packages="mount udev kmod busybox-static"
if [ "$mode" = package ]; then
	[ "$(id -u)" = 0 ] || skip "needs root (the guest's files keep their owners)"
	[ -x /lib/systemd/systemd ] || skip "needs systemd"
	command -v cpack >/dev/null || skip "needs cpack"
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/vgpu-uml.XXXXXX")
trap 'rm -rf "$dir"' EXIT
# Its memory is a file: the /dev/shm of most containers is too small for it.
memory=1024
scratch=/dev/shm
if [ "$(df -Pm $scratch 2>/dev/null | awk 'NR == 2 { print $4 }')" -lt $((memory + 64)) ]; then
	scratch=$dir
fi

if [ "$mode" = package ]; then
	cpack -G DEB --config "$UML_BUILD/CPackConfig.cmake" -B "$dir/package" >"$dir/cpack" 2>&1 || {
		cat "$dir/cpack"
		exit 1
	}
	depends=$(dpkg-deb -f "$dir"/package/*.deb Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/,/ /g')
	packages="$packages systemd $depends"
fi
mkdir -p "$dir/exchange" "$dir/root/mnt"
# shellcheck disable=SC2086 # a list
"$here/make-root.sh" "$dir/root" $packages

test=$dir/root/opt/vgpu-test
mkdir -p "$test/bin" "$test/lib" "$test/modules"
install -m 0755 "$UML_DAEMON" "$UML_WORKER" "$UML_CLIENT" "$test/bin"
[ -z "$UML_DEMO" ] || install -m 0755 "$UML_DEMO" "$test/bin"
install -m 0755 "$here"/guest-*.sh "$test"
cp "$modules/fuse.ko" "$modules/cuse.ko" "$test/modules"
# Without the package, what its dependencies would bring.
ldd "$test"/bin/* | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u | while IFS= read -r f; do
	[ -e "$dir/root$f" ] || cp -L "$f" "$test/lib"
done
if [ "$mode" = package ]; then
	mv "$dir/package" "$test"
	init=guest-package-init.sh
else
	install -m 0755 "$UML_LIBCUDA" "$test/lib/libcuda.so.1"
	mkdir -p "$dir/root/etc/udev/rules.d"
	install -m 0644 "$UML_SOURCE/udev/60-vgpu.rules" "$dir/root/etc/udev/rules.d"
	init=guest-door.sh
fi
size=$(($(du -sm "$dir/root" | cut -f 1) * 5 / 4 + 256))
mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$dir/root" "$dir/image" ${size}M >"$dir/mke2fs"
rm -rf "$dir/root"

set -- mem=${memory}M "ubd0=$dir/image" root=/dev/ubda rw "init=/opt/vgpu-test/$init" \
	"EXCHANGE=$dir/exchange" "uml_dir=$dir" con=null con0=fd:0,fd:1 quiet
if [ -z "$fetched" ]; then
	set -- linux.uml "$@"
else
	# It starts itself again from /proc, so its libraries must be where it looks for them.
	set -- unshare --mount sh -ec 'root=$1 dir=$2
		shift 2
		mount --rbind /proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mount -t tmpfs tmp "$root/tmp"
		mkdir -p "$root$dir"
		mount --bind "$dir" "$root$dir"
		exec chroot "$root" /usr/bin/linux.uml "$@"' sh "$fetched" "$dir" "$@"
fi
TMPDIR=$scratch timeout -k 5 350 "$@" </dev/null >"$dir/console" 2>&1 || true
result=$dir/exchange/result
cat "$result" 2>/dev/null || true
if ! grep -q '^guest: 0 failures$' "$result" 2>/dev/null; then
	grep -q '^guest: .* failures$' "$result" 2>/dev/null || cat "$dir/console"
	echo "FAILED"
	exit 1
fi
