#!/bin/sh
# The order of system calls of a push into a local store: every byte is synced before the object gets its key, and the key
# before the push is answered. Reads a trace of t-push. TAP on standard output.
set -u
push=${top_builddir:-.}/tests/unit/store/t-push
if ! command -v strace >/dev/null; then
	echo "1..0 # SKIP strace is not installed"
	exit 0
fi
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
# leak checkers cannot run under a tracer
ASAN_OPTIONS=detect_leaks=0
export ASAN_OPTIONS
if ! strace -o "$dir/try" true 2>/dev/null; then
	echo "1..0 # SKIP tracing is not permitted here"
	exit 0
fi

n=0
bad=0
check() { # words, result
	n=$((n + 1))
	if [ "$2" = ok ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1: $2"
		sed 's/^/# /' "$dir/trace"
		bad=1
	fi
}

# The steps as words, in order. -y shows what a descriptor is open on.
steps() {
	awk -v root="$dir/store" '
		/ = -1 / { next }
		/^pwrite64\([0-9]+<[^>]*\/uploads\// { print "write"; next }
		/^fdatasync\([0-9]+<[^>]*\/uploads\// { print "sync-data"; next }
		/^fsync\([0-9]+<[^>]*\/uploads\// { print "sync-file"; next }
		/^renameat2?\(.*\/uploads>/ { print "rename"; next }
		/^unlinkat\(.*\/uploads>/ { print "unlink"; next }
		/^fsync\([0-9]+<[^>]*\/sha256\/[0-9a-f][0-9a-f]\/[0-9a-f]+>/ { print "sync-kept"; next }
		/^fsync\([0-9]+<[^>]*\/sha256\/[0-9a-f][0-9a-f]>/ { print "sync-folder"; next }
		/^fsync\([0-9]+<[^>]*\/sha256>/ { print "sync-sha256"; next }
		/^fsync\(/ { p = $0; sub(/^[^<]*</, "", p); sub(/>.*/, "", p); if (p == root) print "sync-root"; next }
		/^write\(1[<,]/ { print "answer" }
	' "$dir/trace" | uniq | tr '\n' ' ' | sed 's/ $//'
}

trace() {
	strace -y -o "$dir/trace" -e trace=pwrite64,fdatasync,fsync,renameat,renameat2,linkat,unlinkat,write \
		"$push" "$dir/store" "$@" >"$dir/out" 2>"$dir/err"
}
expect() { # words, wanted steps
	got=$(steps)
	if [ "$got" = "$2" ]; then check "$1" ok; else check "$1" "$got"; fi
}

mkdir "$dir/store"
dir=$(cd "$dir" && pwd -P)
trace 3000000 100000 && expect "one request" "write sync-file rename sync-folder sync-sha256 sync-root answer"
[ "$n" = 1 ] || check "one request" "$(cat "$dir/err")"
trace 3000000 100000 checkpoint &&
	expect "two requests" "write sync-data sync-file rename sync-folder sync-sha256 sync-root answer"
[ "$n" = 2 ] || check "two requests" "$(cat "$dir/err")"
trace 0 1 && expect "an empty blob" "sync-file rename sync-folder sync-sha256 sync-root answer"
[ "$n" = 3 ] || check "an empty blob" "$(cat "$dir/err")"
trace 0 1 && expect "a blob that is there already" \
	"sync-file sync-kept unlink sync-folder sync-sha256 sync-root answer"
[ "$n" = 4 ] || check "a blob that is there already" "$(cat "$dir/err")"
echo "1..$n"
exit $bad
