# Two pools of fcgi-probe: what a web server does to a request. PROBE=program. Sockets: DIR/api.sock, DIR/transfer.sock.
probe_start()
{
	local pool
	own_dir "$1" "$WEB_USER"
	for pool in api transfer; do
		rm -f "$1/$pool.sock"
		spawn "$1" "$pool" "$WEB_USER" "${PROBE:?PROBE=program}" "$pool" "$1/$pool.sock" 16
		until_ok 10 test -S "$1/$pool.sock" || die "fcgi-probe does not start"
	done
}

probe_stop()
{
	stop_pid "$1/api.pid" 5 KILL
	stop_pid "$1/transfer.pid" 5 KILL
}
