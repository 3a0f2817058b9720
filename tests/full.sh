# Sourced by tests/run: the full run, in parts. Each part leaves a record in .kade/build-test/full, so that a run that was
# interrupted goes on where it was. A record counts as long as the sources that the part tests are the same; it names its own
# commit. All of them are written to docs/test-results-full.txt; for
# a part whose sources have changed since it says so.
#   KADE_FUZZ_SECONDS    time for each fuzz target, default 600
#   KADE_SOAK_SECONDS    time of the soak test, default 1800
records=$work/full
PRODUCT="fcgi-app jobs sql conf-examples quickstart configure.ac Makefile.am tests/servers"
fuzz_seconds=${KADE_FUZZ_SECONDS:-600}

# Every part, in the order in which they run: quick answers first.
full_parts()
{
	local file
	echo unit
	echo plans
	for file in tests/doctor/test_*.py tests/e2e/test_*.py tests/race/test_*.py tests/api/test_*.py tests/web/test_*.py; do
		[ ! -e "$top/$file" ] || echo "$file"
	done
	for file in "$top"/tests/fuzz/f-*.c; do
		file=${file##*/f-}
		echo "fuzz-${file%.c}"
	done
}

# What the part tests, and with what, as one number.
fingerprint()
{
	local paths
	case $1 in
	unit)        paths="$PRODUCT tests/unit" ;;
	plans)       paths="sql tests/bench fcgi-app/lib" ;;
	fuzz-*)      paths="fcgi-app/lib fcgi-app/http tests/fuzz/f-${1#fuzz-}.c tests/fuzz/seed/${1#fuzz-} configure.ac" ;;
	tests/race/*) paths="$PRODUCT tests/race $(cd "$top" && ls tests/e2e/*.py | grep -v /test_)" ;;
	tests/e2e/*) paths="$PRODUCT $1 $(cd "$top" && ls tests/e2e/*.py | grep -v /test_) tests/api" ;;
	*)           paths="$PRODUCT ${1%/*}" ;;
	esac
	# shellcheck disable=SC2086
	(cd "$top" && find $paths -type f ! -name '*.pyc' ! -name '.dirstamp' ! -name '*.o' | LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum | sha256sum | cut -c1-16)
}

record_of()
{
	echo "$records/$(echo "$1" | tr / _)"
}

is_recorded()
{
	local file
	file=$(record_of "$1")
	[ -s "$file" ] && [ "$(sed -n 's/^sources //p' "$file")" = "$(fingerprint "$1")" ]
}

fuzz_part()
{
	local name=${1#fuzz-} out
	full_fuzz_build || { failed=1; return; }
	cd "$work/fuzz" || return
	out=$("$top/tests/fuzz/run" "$fuzz_seconds" "$name") || true
	echo "$out"
	passed=$(grep -c '^ok' <<<"$out") failed=$(grep -c '^not ok' <<<"$out")
	detail="${fuzz_seconds} s, $(sed -n 's/^ok .*: \([0-9]* runs\)$/\1/p' <<<"$out")"
	cd "$work" || exit 1
}

full_fuzz_build()
{
	command -v clang >/dev/null || { echo "SKIP: fuzz targets: no clang"; skipped=1; return 1; }
	mkdir -p "$work/fuzz" && cd "$work/fuzz" || return
	[ -e config.status ] || quietly configure.out "$top/configure" CC=clang --enable-fuzz --enable-sanitizers || return
	quietly make.out flock make.lock make -j"$(nproc)" check TESTS=
}

# One part: its counts are set, its record written.
full_part()
{
	local part=$1 began file sources
	file=$(record_of "$part") sources=$(fingerprint "$part")
	passed=0 failed=0 skipped=0 detail=
	began=$(date +%s)
	echo "== $part"
	case $part in
	unit)   (cd "$work" && unit_tests >"$file.out" 2>&1; echo "$passed $failed $skipped" >"$file.n"); read -r passed failed skipped <"$file.n"; rm "$file.n" ;;
	plans)  cd "$work" && plans >"$file.out" 2>&1 ;;
	fuzz-*) fuzz_part "$part" >"$file.out" 2>&1 ;;
	tests/e2e/test_api_traffic.py) { sanitized && suites "$part"; } >"$file.out" 2>&1 || failed=1 ;;
	*)      suites "$part" >"$file.out" 2>&1 ;;
	esac
	{
		echo "sources $sources"
		echo "commit $(cd "$top" && git describe --always --dirty 2>/dev/null || echo none)"
		echo "date $(date -u '+%Y-%m-%d %H:%M')"
		echo "seconds $(($(date +%s) - began))"
		echo "counts $passed $failed $skipped"
		echo "detail $detail"
		sed -n -E 's/^((SKIP|FAIL|FAILED|ERROR|SKIPPED|not ok)\b.*)/said \1/p' "$file.out"
	} >"$file.new"
	mv "$file.new" "$file"
	sed -n 's/^said //p' "$file"
	echo "   $passed passed, $failed failed, $skipped skipped, $(sed -n 's/^seconds //p' "$file") s"
}

# The file that is committed: one line for each part, then what failed and what was skipped.
write_results()
{
	local part file out=$top/docs/test-results-full.txt p f s
	local all_p=0 all_f=0 all_s=0 seconds=0 missing=0
	{
		echo "The full test run (tests/run full). Each part has its own commit and time: a run may be interrupted and goes on."
		echo "Machine: $(nproc) cores, $(awk '/^MemTotal/ { printf "%d MiB", $2 / 1024 }' /proc/meminfo), $(uname -sr)"
		echo
		printf '%-44s %6s %6s %7s %7s  %-16s %s\n' part passed failed skipped seconds "date, UTC" commit
		for part in $(full_parts); do
			file=$(record_of "$part")
			if [ ! -s "$file" ]; then
				printf '%-44s not done\n' "$part"
				missing=$((missing + 1))
				continue
			fi
			read -r p f s < <(sed -n 's/^counts //p' "$file")
			all_p=$((all_p + p)) all_f=$((all_f + f)) all_s=$((all_s + s)) seconds=$((seconds + $(sed -n 's/^seconds //p' "$file")))
			printf '%-44s %6d %6d %7d %7d  %-16s %s %s\n' "$part" "$p" "$f" "$s" "$(sed -n 's/^seconds //p' "$file")" \
				"$(sed -n 's/^date //p' "$file")" "$(sed -n 's/^commit //p' "$file")" "$(sed -n 's/^detail //p' "$file")$(is_recorded "$part" || echo ' (sources have changed since)')"
		done
		echo
		echo "$all_p passed, $all_f failed, $all_s skipped; $((seconds / 60)) minutes; $missing parts not done"
		for part in $(full_parts); do
			[ ! -s "$(record_of "$part")" ] || sed -n "s|^said |$part: |p" "$(record_of "$part")"
		done
	} >"$out.new"
	mv "$out.new" "$out"
	echo "written: docs/test-results-full.txt"
}

# full_run [PART…]: those parts, recorded or not, else every one without a record. Several may run at the same time with different parts.
full_run()
{
	local part p=0 f=0 s=0
	mkdir -p "$records"
	for part in ${*:-$(full_parts)}; do
		if [ $# = 0 ] && is_recorded "$part"; then
			echo "== $part: done before"
		else
			full_part "$part"
			p=$((p + passed)) f=$((f + failed)) s=$((s + skipped))
		fi
	done
	write_results
	passed=$p failed=$f skipped=$s
}
