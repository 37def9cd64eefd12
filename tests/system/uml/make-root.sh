#!/bin/sh
# SPDX-License-Identifier: MIT
# make-root.sh DIRECTORY PACKAGE... - a small Debian out of this machine's own files.
#
# The packages, the essential ones and all that these depend on: their files as they are installed here, and a
# dpkg database that knows nothing else. Nothing is fetched. What a package made when it was
# configured is not there, but users, alternatives and the loader's cache.
set -eu
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C
root=$1
shift
db=/var/lib/dpkg
mkdir -p "$root$db/info" "$root$db/updates" "$root$db/triggers" "$root/etc"
work=$(mktemp -d "$root/work.XXXXXX")

# Names in, names with their architecture out. Of alternatives all that are installed are taken.
dpkg-query -W -f='${db:Status-Status}\t${Architecture}\t${Package}\t${binary:Package}\t${Essential}\t${Provides}\t${Pre-Depends}, ${Depends}\n' |
	awk -F '\t' -v arch="$(dpkg --print-architecture)" -v wanted="$*" '
	function names(text, list) { gsub(/\([^)]*\)|:[a-z0-9]+| /, "", text); return split(text, list, /[,|]/) }
	function want(name) { if (!(name in asked)) { asked[name] = 1; queue[++last] = name } }
	$1 == "installed" && ($2 == arch || $2 == "all") {
		full[$3] = $4
		needs[$3] = $7
		n = names($6, p)
		for (i = 1; i <= n; i++)
			provider[p[i]] = provider[p[i]] "," $3
		if ($5 == "yes")
			want($3)
	}
	END {
		n = split(wanted, p, / /)
		for (i = 1; i <= n; i++)
			want(p[i])
		while (at < last) {
			name = queue[++at]
			if (name in full)
				print full[name]
			n = names(needs[name] provider[name], p)
			for (i = 1; i <= n; i++)
				if (p[i] != "")
					want(p[i])
		}
	}' | sort -u >"$work/packages"
for p in "$@"; do
	grep -Eq "^$p(:|\$)" "$work/packages" || {
		echo "the package $p is not installed"
		exit 1
	}
done

# A package may say /bin where it is /usr/bin since the two were merged.
for d in bin sbin lib lib32 lib64 libx32; do
	[ -L /$d ] || continue
	echo "/$d" >>"$work/links"
	echo "s,^/$d/,/usr/$d/," >>"$work/merged"
done
: >>"$work/links"
: >>"$work/merged"
{
	xargs dpkg-query -L <"$work/packages" | grep '^/' | sed -f "$work/merged" |
		grep -Ev '^/(bin|sbin|lib|lib32|lib64|libx32|\.)$|^/usr/share/(doc|man|locale|info|lintian)/|/hwdb\.d/'
	[ -s "$work/links" ] || ls -1d /bin /sbin /lib /lib64
	find /usr/bin /usr/sbin -lname '/etc/alternatives/*'
	find /etc/alternatives /etc/nsswitch.conf
} | sort -u | while IFS= read -r f; do
	if [ -e "$f" ] || [ -L "$f" ]; then
		printf '%s\n' "$f"
	fi
done | cat "$work/links" - >"$work/files"
tar -C / -cf - --no-recursion --ignore-failed-read -T "$work/files" 2>"$work/tar" | tar -C "$root" -xpf - || {
	cat "$work/tar"
	exit 1
}

# The account that the package under test makes is not there yet.
for f in passwd group shadow gshadow; do
	[ ! -r /etc/$f ] || grep -v '^vgpu:' /etc/$f >"$root/etc/$f"
done
chmod 0640 "$root"/etc/*shadow 2>/dev/null || :

xargs dpkg-query -s <"$work/packages" >"$root$db/status"
while IFS= read -r p; do
	cp -p $db/info/"$p".* "$root$db/info/"
done <"$work/packages"
[ ! -e $db/info/format ] || cp $db/info/format "$root$db/info/"
: >"$root$db/available"
[ ! -e $db/triggers/ldconfig ] || cp $db/triggers/ldconfig "$root$db/triggers/"

rm -r "$work"
