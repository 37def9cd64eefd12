#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_debian.sh DIR SUITE PACKAGE... - a root directory DIR/root with these packages of Debian SUITE and all they
# depend on, unpacked and not configured; 77: not available.
#
# The driver's own packages are left out: what a program asks of them is what the tests are about.
set -eu
dir=$1
suite=$2
shift 2
keys=/usr/share/keyrings/debian-archive-keyring.gpg
driver='^(libcuda1|libnvcuvid1|libnvidia-.*|nvidia-.*|glx-.*|update-glx|debconf|dpkg|perl.*|wget)$'

# What is there is complete: it was made beside and moved.
if [ -e "$dir/root" ] && [ "$(cat "$dir/packages" 2>/dev/null)" = "$suite $*" ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ ! -e "$keys" ]; then
	echo "apt-get or Debian's keys are not installed"
	exit 77
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
rm -rf "$dir/root" "$dir/part" "$dir/debs"
mkdir -p "$dir/none" "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/debs" "$dir/part"
: >"$dir/status"
echo "deb [signed-by=$keys] http://deb.debian.org/debian $suite main contrib non-free" >"$dir/sources.list"

apt() {
	apt-get -qq -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts="$dir/none" \
		-o Dir::State::Lists="$dir/lists" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" \
		-o Dir::Etc::Preferences="$dir/none" -o Dir::Etc::PreferencesParts="$dir/none" \
		-o APT::Architecture=amd64 -o APT::Sandbox::User=root "$@"
}

apt update || {
	echo "Debian $suite cannot be reached"
	exit 77
}
apt --no-install-recommends --print-uris install "$@" >"$dir/uris" || {
	echo "Debian $suite has no installable $*"
	exit 77
}
list=$(sed -n "s/^'[^']*' \([^_ ]*\)_.*/\1/p" "$dir/uris" | grep -Evx "$driver")
cd "$dir/debs"
# shellcheck disable=SC2086
apt download $list || {
	echo "the packages could not be fetched"
	exit 77
}
for deb in "$dir"/debs/*.deb; do
	dpkg -x "$deb" "$dir/part"
done
# A merged /usr also where no base-files came along.
for d in bin sbin lib lib64; do
	[ -d "$dir/part/usr/$d" ] || continue
	[ -e "$dir/part/$d" ] && [ ! -L "$dir/part/$d" ] && {
		cp -a "$dir/part/$d/." "$dir/part/usr/$d/"
		rm -rf "${dir:?}/part/$d"
	}
	ln -sfn "usr/$d" "$dir/part/$d"
done
mkdir -p "$dir/part/dev" "$dir/part/proc" "$dir/part/tmp" "$dir/part/etc" "$dir/part/opt/vgpu"
chmod 1777 "$dir/part/tmp"
# Ours first, as its package does; the others are links that configuring the packages would make.
{
	echo /opt/vgpu
	for d in blas lapack pulseaudio; do
		[ ! -d "$dir/part/usr/lib/x86_64-linux-gnu/$d" ] || echo "/usr/lib/x86_64-linux-gnu/$d"
	done
} >"$dir/part/etc/ld.so.conf"
rm -rf "$dir/part/usr/share/doc" "$dir/part/usr/share/man" "$dir/debs" "$dir/cache" "$dir/lists" "$dir/none"
mv "$dir/part" "$dir/root"
echo "$suite $*" >"$dir/packages"
