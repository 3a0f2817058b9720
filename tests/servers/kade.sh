# The pools of kade.fcgi on Unix sockets. BIN: folder of the programs; CONFIG: config.yaml; WORKERS_API, WORKERS_TRANSFER.
# Sockets: DIR/api.sock, DIR/transfer.sock. As root they run as the user nobody, who owns DIR and the blobs.
KADE_USER=$(id -un)
[ "$(id -u)" != 0 ] || KADE_USER=nobody

kade_pool_start()
{
	local dir=$1 pool=$2 workers=$3
	rm -f "$dir/$pool.sock"
	spawn "$dir" "$pool" "$KADE_USER" "${BIN:?BIN=folder}/kade.fcgi" --config "${CONFIG:?CONFIG=file}" \
		--pool "$pool" --workers "$workers" --listen "unix:$dir/$pool.sock"
	until_ok 30 test -S "$dir/$pool.sock" || { cat "$dir/$pool.log" >&2; die "pool $pool does not start"; }
}

kade_start()
{
	own_dir "$1" "$KADE_USER"
	if [ "$(id -u)" = 0 ]; then
		chgrp "$(id -gn "$WEB_USER")" "$1"          # the sockets get the web server's group
		chmod 2755 "$1"
	fi
	kade_pool_start "$1" api "${WORKERS_API:-2}"
	kade_pool_start "$1" transfer "${WORKERS_TRANSFER:-2}"
}

kade_stop()
{
	local rc=0
	stop_pid "$1/api.pid" 30 || rc=1
	stop_pid "$1/transfer.pid" 30 || rc=1
	return $rc
}
