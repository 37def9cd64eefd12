#!/bin/sh
# SPDX-License-Identifier: MIT
# guest-package-init.sh - init of the user-mode-linux that "run.sh package" boots: starts systemd with
# only what a basic system has, and our test.
mount -t proc proc /proc
# The modules of user-mode-linux lie where modprobe does not look.
insmod /opt/vgpu-test/modules/fuse.ko
insmod /opt/vgpu-test/modules/cuse.ko
: >/etc/fstab
# Else it is a first boot, at which systemd asks for a password.
tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
/sbin/ldconfig
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
ExecStart=/bin/sh /opt/vgpu-test/guest-package.sh
TEXT
exec /lib/systemd/systemd --unit=vgpu-test.target --log-target=console --log-level=warning --show-status=0
