#!/bin/sh
# kade-config as a program: exit status, masking, generated documents. TAP.
set -u
kc=$top_builddir/kade-config
dir=$(mktemp -d "${TMPDIR:-/tmp}/kade-config.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
unset QUAY_OVERRIDE_CONFIG QUAY_DISTRIBUTED_STORAGE_PREFERENCE IGNORE_VALIDATION QUAYCONF
n=0
result() { # status of the condition, name
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}
status() { # wanted status, name, command…
	want=$1 name=$2
	shift 2
	"$@" >"$dir/out" 2>"$dir/err"
	[ $? -eq "$want" ]
	result $? "$name"
}
mkdir "$dir/blobs" "$dir/stack"
{
	"$kc" secrets
	echo "SERVER_HOSTNAME: registry.example.com"
	echo "DB_URI: postgresql://quay:hushhush@127.0.0.1:1/quay"
	echo "DISTRIBUTED_STORAGE_CONFIG: {default: [LocalStorage, {storage_path: $dir/blobs}]}"
} >"$dir/stack/config.yaml"
chmod 600 "$dir/stack/config.yaml"

status 0 "a file made with fresh secrets passes" "$kc" check "$dir/stack/config.yaml"
status 0 "its folder may be named" "$kc" check "$dir/stack"
QUAYCONF=$dir
export QUAYCONF
status 0 "QUAYCONF says where it is" "$kc" check
status 0 "get prints a value" "$kc" get SERVER_HOSTNAME
[ "$(cat "$dir/out")" = registry.example.com ]
result $? "the value is right"
status 0 "get prints a built-in list" "$kc" get TAG_EXPIRATION_OPTIONS
[ "$(tr '\n' ' ' <"$dir/out")" = "0s 1d 1w 2w 4w " ]
result $? "one entry a line"
for key in DB_URI SECRET_KEY DISTRIBUTED_STORAGE_CONFIG BUILDLOGS_REDIS; do
	status 1 "get refuses $key" "$kc" get $key
	[ ! -s "$dir/out" ]
	result $? "and prints nothing"
done
status 1 "get of an unknown key fails" "$kc" get SERVER_HOSTNAM
grep -q 'did you mean SERVER_HOSTNAME' "$dir/err"
result $? "with a suggestion"
status 1 "online: a database that is not there is an error" "$kc" check --online
grep -q '^error: DB_URI: ' "$dir/out" && ! grep -q hushhush "$dir/out" "$dir/err"
result $? "named without its password"
if command -v redis-server >/dev/null; then
	# A server of our own on a Unix socket: no port to fight for.
	echo "USER_EVENTS_REDIS: {unix_socket_path: $dir/redis.sock, password: hushhush}" >>"$dir/stack/config.yaml"
	redis-server --port 0 --unixsocket "$dir/redis.sock" --requirepass hushhush --save '' --dir "$dir" \
		>"$dir/redis.log" 2>&1 &
	redis=$!
	i=0
	until [ "$(redis-cli -s "$dir/redis.sock" --no-auth-warning -a hushhush ping 2>/dev/null)" = PONG ]; do
		i=$((i + 1))
		[ $i -lt 200 ] || break
		sleep 0.05
	done
	"$kc" check --online >"$dir/out" 2>"$dir/err"
	! grep -q USER_EVENTS_REDIS "$dir/out"
	result $? "online: a Redis that answers"
	kill $redis
	wait $redis
	"$kc" check --online >"$dir/out" 2>"$dir/err"
	grep -q '^warning: USER_EVENTS_REDIS: ' "$dir/out" && ! grep -q hushhush "$dir/out" "$dir/err"
	result $? "online: one that does not is a warning without its password"
	grep -v USER_EVENTS_REDIS "$dir/stack/config.yaml" >"$dir/stack/new" && mv "$dir/stack/new" "$dir/stack/config.yaml"
	chmod 600 "$dir/stack/config.yaml"
else
	n=$((n + 1))
	echo "ok $n # SKIP redis-server is not installed"
fi
rmdir "$dir/blobs"
status 1 "a storage folder that is not there is an error" "$kc" check
mkdir "$dir/blobs"
echo "MAIL_PORT: none" >>"$dir/stack/config.yaml"
status 1 "an error gives status 1" "$kc" check
grep -q '^error: line 6: MAIL_PORT: ' "$dir/out"
result $? "with its line"
IGNORE_VALIDATION=1
export IGNORE_VALIDATION
status 0 "IGNORE_VALIDATION is honoured" "$kc" check
grep -q MAIL_PORT "$dir/out"
result $? "and the error still named"
unset IGNORE_VALIDATION
status 1 "a file that is not there" "$kc" check "$dir/nothing"
status 2 "no command" "$kc"
status 2 "an unknown command" "$kc" chek
status 2 "an unknown option" "$kc" check --onlin3
status 2 "a number that is none" "$kc" check --hosts 0
status 0 "help" "$kc" --help
grep -q Usage "$dir/out"
result $? "says how"
[ "$("$kc" secrets)" != "$("$kc" secrets)" ]
result $? "secrets differ each time"
"$kc" docs >"$dir/docs" && cmp -s "$dir/docs" "$top_srcdir/docs/configuration.md"
result $? "docs/configuration.md is the table of keys (kade-config docs)"
"$kc" schema | grep -q '"SERVER_HOSTNAME"'
result $? "schema names the keys"
"$kc" docs >/dev/full 2>/dev/null
[ $? -eq 1 ]
result $? "a full disk is not success"
echo "1..$n"
