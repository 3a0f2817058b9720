# Processes of the tests: start in the background, wait for a condition, stop. Sourced by ctl; bash.
# Every process belongs to one folder DIR: DIR/NAME.pid, DIR/NAME.log, DIR/env (what a client needs, KEY='value').

# die TEXT — to stderr, exit 1.
die()
{
	echo "tests/servers: $*" >&2
	exit 1
}

# until_ok SECONDS COMMAND… — runs COMMAND until it succeeds; fails when the time is over.
until_ok()
{
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# as_user USER COMMAND… — as USER when we are root, else as ourselves.
as_user()
{
	local user=$1
	shift
	if [ "$(id -u)" = 0 ] && [ "$user" != root ]; then
		HOME=/ exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
	fi
	exec "$@"
}

# own_dir DIR USER — a folder that USER may write, and walk to.
own_dir()
{
	mkdir -p "$1"
	if [ "$(id -u)" = 0 ]; then
		chown "$2:$(id -gn "$2")" "$1"
	fi
}

# spawn DIR NAME USER COMMAND… — in the background, in a session of its own.
spawn()
{
	local dir=$1 name=$2 user=$3
	shift 3
	(
		exec </dev/null >>"$dir/$name.log" 2>&1
		trap '' HUP
		echo "$BASHPID" >"$dir/$name.pid"
		as_user "$user" setsid -- "$@"
	) &
	disown
	until_ok 5 test -s "$dir/$name.pid" || die "$name did not start"
}

# alive PIDFILE — a process that is not a zombie.
alive()
{
	local pid
	pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ -r "/proc/$pid/stat" ] &&
		[ "$(sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat" 2>/dev/null)" != Z ]
}

gone()
{
	! alive "$1"
}

# stop_pid PIDFILE SECONDS [SIGNAL] — asks, waits, then kills; a process that had to be killed is a failure.
stop_pid()
{
	local pid rc=0
	if alive "$1"; then
		pid=$(head -n 1 "$1")
		kill -"${3:-TERM}" "$pid"
		if ! until_ok "$2" gone "$1"; then
			echo "tests/servers: process $pid ($1) did not end in $2 s; killed" >&2
			kill -KILL "$pid"
			until_ok 5 gone "$1"
			rc=1
		fi
	fi
	rm -f "$1"
	return $rc
}

# free_port — a TCP port on loopback that nobody listens on now.
free_port()
{
	local p
	while :; do
		p=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
		ss -Hltn "sport = :$p" | grep -q . || break
	done
	echo "$p"
}

# listening PORT — something listens there.
listening()
{
	ss -Hltn "sport = :$1" | grep -q .
}

# say_env DIR KEY VALUE
say_env()
{
	printf "%s='%s'\n" "$2" "$3" >>"$1/env"
}
