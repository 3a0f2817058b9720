# Turns sql/query/*.sql into an enum and a table of statements.
#   awk -v out=h|c -f gen-stmt.awk FILE...
# A block is:   -- name: NAME / -- args: a int8, b text? / -- cols: set, x int8 / -- rows: words / the statement.
# "-- set: NAME cols" names columns that belong together, "-- argset: NAME args" arguments; both may hold other sets.
# POSIX awk only. Refuses a block whose $n do not match its args.
function fail(msg) { printf "%s:%d: %s\n", FILENAME, FNR, msg > "/dev/stderr"; bad = 1; exit 1 }
function trim(s) { sub(/^[ \t]+/, "", s); sub(/[ \t]+$/, "", s); return s }
function upper(s) { s = toupper(s); gsub(/[^A-Z0-9]/, "_", s); return s }
# Expands "set, x int8" to "a int8,b text,x int8"; table T holds the sets.
function expand(list, T,    n, i, w, f, r) {
	r = ""; n = split(list, f, ",")
	for (i = 1; i <= n; i++) {
		w = trim(f[i])
		if (w == "" || w == "none") continue
		if (w !~ / /) { if (!(w in T)) fail("no set named " w); w = T[w] }
		if (w != "") r = (r == "" ? "" : r ",") w
	}
	return r
}
function count(list,    f) { return list == "" ? 0 : split(list, f, ",") }
function oid(t) {
	sub(/\?$/, "", t)
	if (t == "int8") return 20; if (t == "int4") return 23; if (t == "int2") return 21; if (t == "bool") return 16
	if (t == "text") return 25; if (t == "bytea") return 17; if (t == "int8[]") return 1016; if (t == "text[]") return 1009
	fail("unknown type " t)
}
function finish(    n, i, f, w, max, rest, c, col, words) {
	if (name == "") return
	if (sql == "") fail("no statement under " name)
	a = expand(args, ARGSET); c = expand(cols, SET)
	max = 0; rest = sql
	while (match(rest, /\$[0-9]+/)) { n = substr(rest, RSTART + 1, RLENGTH - 1) + 0; if (n > max) max = n; seen[name, n] = 1; rest = substr(rest, RSTART + RLENGTH) }
	if (max != count(a)) fail(name ": statement uses $" max " but has " count(a) " args")
	for (i = 1; i <= max; i++) if (!((name, i) in seen)) fail(name ": $" i " is not used")
	N++; NAME[N] = name; SQL[N] = sql; ARGS[N] = a; COLS[N] = c; RAWCOLS[N] = cols; ROWS[N] = rows
	READS[N] = (toupper(sql) ~ /(^|[^A-Z_])(INSERT|UPDATE|DELETE|TRUNCATE|NEXTVAL|LOCK|PG_ADVISORY|PG_TRY_ADVISORY|PG_NOTIFY)[^A-Z_]/) ? 0 : 1
	name = ""; sql = ""
}
FNR == 1 { finish() }
/^-- set:/ { s = $0; sub(/^-- set:[ \t]*/, "", s); k = s; sub(/[ \t].*/, "", k); sub(/^[^ \t]+[ \t]*/, "", s); finish(); SET[k] = expand(s, SET); SETS[++NSETS] = k; next }
/^-- argset:/ { s = $0; sub(/^-- argset:[ \t]*/, "", s); k = s; sub(/[ \t].*/, "", k); sub(/^[^ \t]+[ \t]*/, "", s); finish(); ARGSET[k] = expand(s, ARGSET); next }
/^-- name:/ { finish(); name = $3; args = ""; cols = ""; rows = ""; sql = ""; if (name in dup) fail("two statements named " name); dup[name] = 1; next }
/^-- args:/ { s = $0; sub(/^-- args:[ \t]*/, "", s); args = s; next }
/^-- cols:/ { s = $0; sub(/^-- cols:[ \t]*/, "", s); cols = s; next }
/^-- rows:/ { s = $0; sub(/^-- rows:[ \t]*/, "", s); rows = s; next }
/^[ \t]*--/ { next }
{ if (name != "" && trim($0) != "") { l = $0; sub(/[ \t]+--[ ].*$/, "", l); sub(/;[ \t]*$/, "", l); sql = sql (sql == "" ? "" : "\n") l } }
END {
	if (bad) exit 1
	finish()
	print "/* Generated from sql/query by sql/gen-stmt.awk. */"
	if (out == "h") {
		print "#ifndef KADE_STMT_H\n#define KADE_STMT_H\n#include <stdbool.h>\n"
		print "enum stmt {\n\tSTMT_NONE = 0,"
		for (i = 1; i <= N; i++) printf "\tSTMT_%s,\n", upper(NAME[i])
		print "\tSTMT_COUNT\n};"
		print "struct stmt_info {\n\tconst char *name, *sql, *args, *cols;\n\tconst unsigned *oids; /* of the arguments */\n\tint nargs, ncols;\n\tbool reads; /* changes nothing */\n};"
		print "extern const struct stmt_info stmt_table[STMT_COUNT];"
		for (i = 1; i <= NSETS; i++) printf "#define %s_COLS %d\n", upper(SETS[i]), count(SET[SETS[i]])
		for (i = 1; i <= N; i++) {
			n = split(RAWCOLS[i], f, ","); at = 0; line = ""
			for (j = 1; j <= n; j++) {
				w = trim(f[j]); if (w == "" || w == "none") continue
				if (w ~ / /) { col = w; sub(/ .*/, "", col); line = line sprintf("\n\t%s_%s = %d,", upper(NAME[i]), upper(col), at); at++ }
				else { line = line sprintf("\n\t%s_%s0 = %d,", upper(NAME[i]), upper(w), at); at += count(SET[w]) }
			}
			if (line != "") printf "enum {%s\n};\n", line
		}
		print "#endif"
	} else {
		print "#include <stddef.h>\n\n#include \"stmt.h\"\n"
		for (i = 1; i <= N; i++) {
			if (ARGS[i] == "") continue
			n = split(ARGS[i], f, ","); printf "static const unsigned OIDS_%d[] = { ", i
			for (j = 1; j <= n; j++) { m = split(trim(f[j]), words, " "); printf "%s%d", j == 1 ? "" : ", ", oid(words[m]) }
			print " };"
		}
		print "\nconst struct stmt_info stmt_table[STMT_COUNT] = {"
		print "\t[STMT_NONE] = { \"none\", \"SELECT 1 WHERE false\", \"\", \"\", NULL, 0, 0, true },"
		for (i = 1; i <= N; i++) {
			s = SQL[i]; gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); gsub(/\n/, "\\n\"\n\t  \"", s)
			printf "\t[STMT_%s] = { \"%s\",\n\t  \"%s\",\n\t  \"%s\",\n\t  \"%s\", %s, %d, %d, %s },\n", upper(NAME[i]), NAME[i], s, ARGS[i], COLS[i], \
				ARGS[i] == "" ? "NULL" : "OIDS_" i, count(ARGS[i]), count(COLS[i]), READS[i] ? "true" : "false"
		}
		print "};"
	}
}
