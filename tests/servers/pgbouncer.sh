# PgBouncer, transaction mode, on a Unix socket in front of a cluster of postgres.sh.
#   ctl start pgbouncer DIR POSTGRES=dir-of-the-cluster
# env: KADE_TEST_DB_POOLED (database kade_test through the pooler), PGBOUNCER_HOST.
pgbouncer_start()
{
	local dir=$1 user
	user=$(id -un)
	[ "$(id -u)" != 0 ] || user=postgres
	command -v pgbouncer >/dev/null || die "pgbouncer is not installed"
	: "${POSTGRES:?POSTGRES=folder of the cluster}"
	own_dir "$dir" "$user"
	. "$POSTGRES/env"
	printf '"%s" "%s"\n' "$PGUSER" "$PGPASSWORD" >"$dir/users"
	cat >"$dir/pgbouncer.ini" <<-END
		[databases]
		* = host=$PGHOST port=5432
		[pgbouncer]
		listen_addr =
		unix_socket_dir = $dir
		listen_port = 5432
		auth_type = plain
		auth_file = $dir/users
		pool_mode = transaction
		max_client_conn = 400
		default_pool_size = 20
		ignore_startup_parameters = extra_float_digits,options
		pidfile = $dir/pgbouncer.pidfile
	END
	[ "$(id -u)" != 0 ] || chown "$user" "$dir/users" "$dir/pgbouncer.ini"
	chmod 600 "$dir/users"
	: >"$dir/env"
	say_env "$dir" PGBOUNCER_HOST "$dir"
	say_env "$dir" KADE_TEST_DB_POOLED "postgresql://$PGUSER:$PGPASSWORD@/kade_test?host=$dir"
	spawn "$dir" pgbouncer "$user" pgbouncer "$dir/pgbouncer.ini"
	export PGUSER PGPASSWORD
	until_ok 20 psql -qAt -h "$dir" -d kade_test -c 'SELECT 1' ||
		{ cat "$dir/pgbouncer.log" >&2; die "PgBouncer does not answer"; }
}

pgbouncer_stop()
{
	stop_pid "$1/pgbouncer.pid" 20
}
