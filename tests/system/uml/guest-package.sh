#!/bin/sh
# SPDX-License-Identifier: MIT
# guest-package.sh - runs under systemd in user-mode-linux: installs the package, looks at the service
# that its scripts started, purges it.
. /opt/vgpu-test/guest-lib.sh
begin

main_pid()
{
	systemctl show -p MainPID --value vgpu-cuse
}

came_back()
{
	[ -c $node ] && [ "$(main_pid)" != "$1" ] && systemctl is-active --quiet vgpu-cuse
}

no_warnings()
{
	journalctl --quiet --no-pager -u vgpu-cuse -p warning | grep . && return 1
	return 0
}

# All there is, but for what others write in the meantime.
files()
{
	find / -xdev \( -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path '/etc/*-' \
		-o -path /var/lib/systemd -o -path /tmp -o -path /var/tmp -o -path /etc/ld.so.cache \
		-o -path '/etc/*passwd' -o -path '/etc/*group' -o -path '/etc/*shadow' -o -path '/etc/sub?id' \) \
		-prune -o ! -type d -print | sort
}

echo "guest: $(uname -r), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
files >$DIR/before
check "dpkg -i" timeout 100 dpkg -i $TEST/package/*.deb
check "the service is active" systemctl is-active vgpu-cuse
check "the service is enabled" systemctl is-enabled vgpu-cuse
if ! [ -c $node ]; then
	systemctl status --no-pager -l vgpu-cuse
	journalctl --no-pager -u vgpu-cuse
	failures=$((failures + 1))
	finish
fi
check "user vgpu" getent passwd vgpu
check "udev's mode 0666" wait_for 10 has_mode 666
check "udev's link /dev/vgpu/0" wait_for 10 test /dev/vgpu/0 -ef $node
check "the loader finds ours first" sh -c \
	"ldconfig -p | sed -n 's/.*libcuda.so.1 .*=> //p' | head -n 1 | grep /vgpu-cuse/libcuda.so.1"
check "the shell's completion" test -s /usr/share/bash-completion/completions/vgpuctl
check "vgpuctl status" vgpuctl status
check "vgpuctl doctor, as another user" vgpuctl doctor --user=nobody
if [ "$(readlink /usr/bin/nvidia-smi)" = vgpuctl ]; then
	check "nvidia-smi, by another user" as_nobody nvidia-smi -L
fi
check "metrics served on request" systemctl start vgpu-metrics
check "  to whoever asks" wait_for 10 bash -c \
	'exec 3<>/dev/tcp/127.0.0.1/9400 && printf "GET /metrics HTTP/1.0\r\n\r\n" >&3 && grep "^vgpu_up 1" <&3'
check "and our libnvidia-ml" sh -c \
	"ldconfig -p | sed -n 's/.*libnvidia-ml.so.1 .*=> //p' | head -n 1 | grep /vgpu-cuse/libnvidia-ml.so.1"
check "discovery as another user, empty environment" as_nobody $TEST/bin/client probe
check "  name" same "$(value name)" "NVIDIA H100 80GB HBM3"
check "computes as another user" as_nobody $TEST/bin/client cycle
if [ -x $TEST/bin/demo ]; then
	check "the demo, built by nvcc" as_nobody $TEST/bin/demo
fi
$TEST/bin/client hold >$DIR/hold 2>&1 &
hold=$!
check "a client holds memory" wait_for 20 grep -q holding $DIR/hold
check "it has one worker" wait_for 10 one_worker # those of the programs before it end
worker=$(workers)
check "its worker is user vgpu" same "$(stat -c %U "/proc/$worker")" vgpu
check "  and may gain nothing" grep -q "NoNewPrivs:	1" "/proc/$worker/status"
check "  behind a filter" grep -q "Seccomp:	2" "/proc/$worker/status"
kill -KILL $hold
check "SIGKILL of the client takes it along" wait_for 5 no_workers
check "no warning in the journal" no_warnings
journalctl --quiet --no-pager -o cat -u vgpu-cuse | sed 's/^/      /'

pid=$(main_pid)
kill -KILL "$pid"
check "a SIGKILLed daemon is started again" wait_for 10 came_back "$pid"
check "  and computes" as_nobody $TEST/bin/client cycle
check "metrics still served" systemctl is-active vgpu-metrics
check "dpkg -i over it" dpkg -i $TEST/package/*.deb
check "  still active" systemctl is-active vgpu-cuse
check "  and the metrics" systemctl is-active vgpu-metrics
check "  and computes" as_nobody $TEST/bin/client cycle
check "remove" dpkg --remove vgpu-cuse
check "  node gone" wait_for 5 test ! -e $node
check "  libcuda gone" sh -c "! ldconfig -p | grep -q libcuda.so.1"
check "  nvidia-smi of ours gone" sh -c '[ "$(readlink /usr/bin/nvidia-smi)" != vgpuctl ]'
check "purge" dpkg --purge vgpu-cuse
check "  user gone" sh -c "! getent passwd vgpu"
files >$DIR/after
check "  no file left" diff $DIR/before $DIR/after
check "no failed unit of ours" sh -c "! systemctl --failed --no-legend | grep vgpu-cuse"
finish
