#!/bin/sh
# Files of at most 600 lines, functions of at most 60, and none of the C functions that cannot be used safely. TAP.
set -u
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 1

max_file=600 max_function=60
forbidden='strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|atof|strncpy|strncat|alloca|tmpnam|mktemp'

sources()
{
	find fcgi-app jobs tests -name '*.[ch]' | sort
}

long_files()
{
	sources | while read -r f; do
		n=$(wc -l <"$f")
		[ "$n" -le $max_file ] || echo "$f: $n lines"
	done
}

# A function's body stands between a { and a } in the first column.
long_functions()
{
	sources | xargs awk -v max=$max_function '
	FNR == 1 { start = 0 }
	/^{/ { start = FNR }
	/^}/ { if (start && FNR - start - 1 > max) print FILENAME ":" start ": " FNR - start - 1 " lines"; start = 0 }'
}

# Comments and strings do not count.
unsafe_calls()
{
	sources | while read -r f; do
		sed -e 's,"\([^"\\]\|\\.\)*","",g' -e 's,/\*.*\*/,,g' -e 's,//.*,,' -e 's,/\*.*,,' -e 's,^[ \t]*\* .*,,' "$f" |
			grep -nE "(^|[^A-Za-z0-9_])($forbidden)[ \t]*\(" | sed "s,^,$f:,"
	done
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
report 1 "no file above $max_file lines" "$(long_files)"
report 2 "no function above $max_function lines" "$(long_functions)"
report 3 "no unsafe C function" "$(unsafe_calls)"
[ "$(sources | wc -l)" -gt 10 ] && echo "ok 4 - sources were found" || echo "not ok 4 - sources were found"
