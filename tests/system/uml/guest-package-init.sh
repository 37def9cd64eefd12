#!/bin/sh
# SPDX-License-Identifier: MIT
# guest-package-init.sh - init of the user-mode-linux that "run.sh package" boots: puts an overlay over
# the host's root file system, so that packages may be installed without a trace, and starts systemd.
dir=$(dirname "$0")
. "$dir/settings"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

die()
{
	echo "guest: $*" >"$DIR/result"
	sync
	/bin/busybox poweroff -f
}

mount -t proc proc /proc
insmod "$MODULES/../overlayfs/overlay.ko" || die "no overlayfs"
mkdir "$DIR/overlay"
mount -t tmpfs -o size=75% overlay "$DIR/overlay" || die "no tmpfs"
cd "$DIR/overlay" || die "no overlay directory"
mkdir upper work root
mount -t overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" overlay root || die "no overlay"
mount --move /dev root/dev
umount /proc
cd root || die "no root"
pivot_root . mnt || die "pivot_root"
mount -t proc proc /proc
mount -t sysfs sys /sys
# The modules of user-mode-linux lie where modprobe does not look.
insmod "$MODULES/fuse.ko"
insmod "$MODULES/cuse.ko"
: >/etc/fstab
# Container images forbid packages to start services.
rm -f /usr/sbin/policy-rc.d

# Only what a basic system has, and our test; none of the host's services.
cat >/etc/systemd/system/vgpu-test.target <<TEXT
[Unit]
Requires=basic.target vgpu-test.service
After=basic.target
TEXT
cat >/etc/systemd/system/vgpu-test.service <<TEXT
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh /mnt$DIR/guest-package.sh
TEXT
exec chroot . /lib/systemd/systemd --unit=vgpu-test.target --log-target=console --log-level=warning \
	--show-status=0
