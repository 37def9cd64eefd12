#!/bin/sh
# SPDX-License-Identifier: MIT
# guest-door.sh - init of the user-mode-linux that "run.sh door" boots: no service but udev.
. /opt/vgpu-test/guest-lib.sh

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777 shm /dev/shm
begin
echo "guest: $(uname -r)"
check "fuse.ko" insmod $TEST/modules/fuse.ko
check "cuse.ko" insmod $TEST/modules/cuse.ko
check "udevd" /lib/systemd/systemd-udevd --daemon
echo $TEST/lib >/etc/ld.so.conf.d/000-test.conf
check "the loader's cache" ldconfig

start_daemon()
{
	: >$DIR/vgpu.conf
	$TEST/bin/vgpu-cuse --door=cuse --config=$DIR/vgpu.conf --run-dir=/run/vgpu \
		--worker=$TEST/bin/vgpu-worker >>$DIR/log 2>&1 &
	daemon=$!
	wait_for 20 test -c $node && udevadm settle --timeout=20
}

check "daemon makes a character device" start_daemon
if ! [ -c $node ]; then
	sed 's/^/      /' $DIR/log
	finish
fi
check "udev's mode 0666" wait_for 10 has_mode 666
check "udev's link /dev/vgpu/0" wait_for 10 test /dev/vgpu/0 -ef $node
check "subsystem is cuse" same "$(basename "$(readlink -f /sys/class/cuse/nvidia-vgpu0/subsystem)")" cuse

check "discovery with an empty environment" env -i $TEST/bin/client probe
check "  name" same "$(value name)" "NVIDIA H100 80GB HBM3"
check "discovery as another user" as_nobody $TEST/bin/client probe
check "  80 GiB" same "$(value total)" 85899345920
check "computes as another user" as_nobody $TEST/bin/client cycle
check "in a grandchild" as_nobody /bin/sh -c "/bin/sh -c '$TEST/bin/client cycle; exit \$?'; exit \$?"
check "after setuid" $TEST/bin/client after 1234
check "wild store" as_nobody $TEST/bin/client wild store
check "  is error 700" same "$(value result)" 700
if [ -x $TEST/bin/demo ]; then
	check "the demo, built by nvcc" as_nobody $TEST/bin/demo
	tail -n 13 $DIR/out | sed 's/^/      /'
fi

$TEST/bin/client hold >$DIR/hold 2>&1 &
hold=$!
check "a client holds memory" wait_for 20 grep -q holding $DIR/hold
kill -KILL $hold
check "SIGKILL takes its worker along" wait_for 5 no_workers

check "bystander begins" true
$TEST/bin/client busy 3 >$DIR/busy 2>&1 &
busy=$!
wait_for 20 grep -q busy $DIR/busy
check "wild load beside it" as_nobody $TEST/bin/client wild load
wait $busy
check "the bystander did not notice" test $? -eq 0
sed 's/^/      /' $DIR/busy

kill -TERM $daemon
wait $daemon
check "SIGTERM: ends with 0" test $? -eq 0
check "  node gone" wait_for 5 test ! -e $node
check "  link gone" wait_for 5 test ! -e /dev/vgpu/0
check "nothing suspicious in its log" sh -c "! grep -E ': (error|warning): |Sanitizer|corrupt' $DIR/log"
[ $failures -eq 0 ] || sed 's/^/log:  /' $DIR/log
finish
