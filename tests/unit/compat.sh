#!/bin/sh
# The documents keep up with the code. Every comment that begins with "Differs:" or "Compat:" stands in docs/compatibility.md,
# on a line with its file and its words, and no such line is left over; every table and column of sql/schema stands in
# docs/schema.md, under the table's heading. TAP.
set -u
export LC_ALL=C
cd "${top_srcdir:-$(dirname "$0")/../..}" || exit 1

pages=docs/compatibility.md schema=docs/schema.md
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 bad=0

check() { # words, file of findings: empty = good
	n=$((n + 1))
	if [ -s "$2" ]; then
		echo "not ok $n - $1"
		sed 's/^/# /' "$2"
		bad=1
	else
		echo "ok $n - $1"
	fi
}

# FILE TAB WORDS for each comment. The words end at a closing bracket, the end of a sentence or of the comment; a comment may
# go on in the next line.
comments()
{
	find fcgi-app jobs sql conf-examples quickstart -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.sql' -o -name '*.conf' \
		-o -name '*.yaml' -o -name quickstart \) | sort | xargs awk '
	function flush() { if (open) { gsub(/[ \t]+/, " ", words); sub(/^ /, "", words); sub(/ $/, "", words); print file "\t" words } open = 0; words = "" }
	function take(s,    at) {
		at = match(s, /\)|\*\/|\.( |$)/)
		words = words " " (at ? substr(s, 1, at - 1) : s)
		if (at) flush()
	}
	FNR == 1 { flush(); file = FILENAME }
	open {
		if ($0 !~ /^[ \t]*(\*|--|#)/) { flush() } else { s = $0; sub(/^[ \t]*(\*\/|\*|--|#)[ \t]*/, "", s); if ($0 ~ /^[ \t]*\*\//) flush(); else take(s) }
	}
	{
		s = $0
		while (match(s, /(^|[ (*#-])(Differs|Compat):/)) { s = substr(s, RSTART + RLENGTH); open = 1; take(s) }
	}
	END { flush() }'
}

# FILE TAB WORDS for each row of the table: | `file` | words | …
rows()
{
	sed -n 's/^| `\([^`]*\.[a-z]*\|quickstart\)` | \([^|]*[^| ]\) *|.*/\1	\2/p' "$pages"
}

comments >"$tmp/comments"
rows | sort >"$tmp/rows"
sort "$tmp/comments" >"$tmp/sorted"
if [ -s "$tmp/comments" ]; then : >"$tmp/none"; else echo "no comment found: is the search broken?" >"$tmp/none"; fi
check "comments about differences were found" "$tmp/none"
comm -23 "$tmp/sorted" "$tmp/rows" | sed "s,^,not in $pages: ," >"$tmp/missing"
check "each of them stands in $pages" "$tmp/missing"
comm -13 "$tmp/sorted" "$tmp/rows" | sed "s,^,no such comment in the code: ," >"$tmp/stale"
check "no row without its comment" "$tmp/stale"

# TABLE TAB COLUMN from CREATE TABLE and ALTER TABLE … ADD COLUMN; TABLE TAB - for the table itself.
columns()
{
	cat sql/schema/[0-9]*.sql | sed 's/--.*//' | awk '
	function column(def,    w) {
		sub(/^[ \t]+/, "", def)
		split(def, w, /[ \t(]/)
		if (w[1] != "" && w[1] !~ /^(PRIMARY|UNIQUE|CHECK|FOREIGN|CONSTRAINT|LIKE|EXCLUDE)$/) print table "\t" w[1]
	}
	{ all = all " " $0 }
	END {
		rest = all
		while (match(rest, /ALTER TABLE (IF EXISTS )?[a-z_]+ ADD COLUMN (IF NOT EXISTS )?[a-z_]+/)) {
			k = split(substr(rest, RSTART, RLENGTH), w, " ")
			for (i = 1; w[i] != "ADD"; i++) t = w[i]
			print t "\t" w[k]
			rest = substr(rest, RSTART + RLENGTH)
		}
		rest = all
		while (match(rest, /CREATE (UNLOGGED )?TABLE (IF NOT EXISTS )?[a-z_]+ *\(/)) {
			table = substr(rest, RSTART, RLENGTH); sub(/ *\($/, "", table); sub(/.* /, "", table)
			print table "\t-"
			rest = substr(rest, RSTART + RLENGTH); depth = 1; def = ""
			for (i = 1; depth > 0 && i <= length(rest); i++) {
				ch = substr(rest, i, 1)
				if (ch == "(") depth++
				if (ch == ")") depth--
				if ((ch == "," && depth == 1) || depth == 0) { column(def); def = "" } else def = def ch
			}
			rest = substr(rest, i)
		}
	}'
}

columns >"$tmp/columns"
awk -F '\t' -v page="$schema" '
FILENAME == page { if (/^### /) { t = substr($0, 5); has[t, "-"] = 1 } else if (/^#/) t = ""
	s = $0
	while (match(s, /`[a-z_]+`/)) { has[t, substr(s, RSTART + 1, RLENGTH - 2)] = 1; s = substr(s, RSTART + RLENGTH) }
	next }
!(($1, $2) in has) { print $1 ($2 == "-" ? ": the table" : "." $2) " is not explained" }' "$schema" "$tmp/columns" >"$tmp/unexplained"
if [ "$(wc -l <"$tmp/columns")" -lt 100 ]; then echo "hardly a column found: is the search broken?" >>"$tmp/unexplained"; fi
check "every table and column of sql/schema stands in $schema" "$tmp/unexplained"

echo "1..$n"
exit $bad
