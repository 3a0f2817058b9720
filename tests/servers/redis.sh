# Redis on a Unix socket. env: KADE_TEST_REDIS (the socket's path).
redis_start()
{
	local dir=$1 user
	user=$(id -un)
	[ "$(id -u)" != 0 ] || user=redis
	command -v redis-server >/dev/null || die "redis-server is not installed"
	own_dir "$dir" "$user"
	: >"$dir/env"
	say_env "$dir" KADE_TEST_REDIS "$dir/redis.sock"
	spawn "$dir" redis "$user" redis-server --port 0 --unixsocket "$dir/redis.sock" --unixsocketperm 777 \
		--save '' --appendonly no --dir "$dir" --daemonize no
	until_ok 20 redis-cli -s "$dir/redis.sock" ping || { cat "$dir/redis.log" >&2; die "Redis does not answer"; }
}

redis_stop()
{
	stop_pid "$1/redis.pid" 20
}
