#!/bin/sh
# The order of the house: a file includes only what is to its left, no two files include each other, and no file has a
# name that says nothing. TAP.
set -u
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 1

# From left to right. auth (credentials, tokens, scopes) and oci (names, digests, manifests) read bytes and know no row;
# model needs what both of them say. registry, appr, api and site know nothing of one another.
order='base conf net db auth oci store model scan http'
last='registry appr api site'

# Every quoted include with a folder: FILE TARGET, e.g. fcgi-app/lib/db/pool.c conf/conf.h
includes()
{
	find fcgi-app jobs -name '*.[ch]' | sort | while read -r f; do
		sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$f" | sed "s,^,$f ,"
	done
}

wrong_order()
{
	includes | awk -v order="$order" -v last="$last" '
	BEGIN {
		n = split(order, o, " "); for (i = 1; i <= n; i++) rank[o[i]] = i
		m = split(last, l, " "); for (i = 1; i <= m; i++) rank[l[i]] = n + 1
		top = n + 2
	}
	{
		if ($2 !~ /\//) next                          # its own folder, or generated
		split($2, t, "/")
		if (!(t[1] in rank)) { print $1 " includes " $2 ": " t[1] " is no layer"; next }
		if ($1 ~ /^jobs\//) { from = "jobs"; limit = rank["scan"] }
		else if ($1 ~ /^fcgi-app\/lib\//) { split($1, p, "/"); from = p[3]; limit = rank[from] }
		else if ($1 ~ /^fcgi-app\/[^\/]*$/) { from = "main"; limit = top }
		else { split($1, p, "/"); from = p[2]; limit = rank[from] }
		if (!limit) { print $1 ": " from " is no layer"; next }
		if (t[1] == from) next
		if (rank[t[1]] > limit || (rank[t[1]] == limit && from != "jobs")) print $1 " includes " $2
	}'
}

# Pairs FILE TARGET as paths from the top, for tsort.
cycles()
{
	includes | while read -r f target; do
		case $target in
		*/*) for d in fcgi-app/lib fcgi-app; do [ ! -f "$d/$target" ] || echo "$f $d/$target"; done ;;
		*) d=$(dirname "$f"); [ ! -f "$d/$target" ] || echo "$f $d/$target" ;;
		esac
	done | tsort 2>&1 >/dev/null | sed 's/^tsort: //'
}

bad_names()
{
	find fcgi-app jobs sql web tests -type f -name '*.*' 2>/dev/null |
		grep -E '/(.*[-_.])?(utils?|common|misc|helpers?)([-_.][^/]*)?$'
}

# report NUMBER TEXT FINDINGS
report()
{
	if [ -z "$3" ]; then
		echo "ok $1 - $2"
	else
		echo "$3" | sed 's/^/# /'
		echo "not ok $1 - $2"
	fi
}

echo 1..4
report 1 "includes go from right to left only" "$(wrong_order)"
report 2 "no two files include each other" "$(cycles)"
report 3 "no file is named util, common, misc or helpers" "$(bad_names)"
[ "$(includes | wc -l)" -gt 10 ] && echo "ok 4 - includes were found" || echo "not ok 4 - includes were found"
