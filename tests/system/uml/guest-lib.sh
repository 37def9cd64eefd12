# SPDX-License-Identifier: MIT
# guest-lib.sh - checks for the scripts that run inside user-mode-linux. Sourced.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
TEST=/opt/vgpu-test
DIR=/run/vgpu-test # may be written to
failures=0
node=/dev/nvidia-vgpu0

# The result is all that the host gets to see, and its directory all of the host that the guest does.
begin()
{
	mkdir -p $DIR
	mount -t hostfs -o "$(sed -n 's/.*EXCHANGE=\([^ ]*\).*/\1/p' /proc/cmdline)" exchange /mnt
	exec >/mnt/result 2>&1
}

check()
{
	what=$1
	shift
	if "$@" >$DIR/out 2>&1; then
		echo "ok    $what"
	else
		echo "FAIL  $what (code $?): $*"
		sed 's/^/      /' $DIR/out
		failures=$((failures + 1))
	fi
}

# "key=value" of the last check's output
value()
{
	sed -n "s/^$1=//p" $DIR/out | head -n 1
}

same()
{
	[ "$1" = "$2" ] || {
		echo "'$1' instead of '$2'"
		return 1
	}
}

as_nobody()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups env -i "$@"
}

wait_for() # seconds, command
{
	n=$(($1 * 10))
	shift
	while [ $n -gt 0 ]; do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1 || return 1
		n=$((n - 1))
	done
	"$@"
}

has_mode()
{
	same "$(stat -c %a $node)" "$1"
}

workers()
{
	grep -lsx vgpu-worker /proc/[0-9]*/comm | cut -d / -f 3 | grep .
}

one_worker()
{
	[ "$(workers | wc -l)" = 1 ]
}

no_workers()
{
	! workers
}

finish()
{
	echo "guest: $failures failures"
	sync
	/bin/busybox poweroff -f
	exit 1
}
