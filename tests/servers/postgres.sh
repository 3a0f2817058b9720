# A PostgreSQL cluster on a Unix socket. Needs no port. Database superuser: kade, with a random password. CONF: a file whose
# settings follow those below.
# env: PGHOST PGUSER PGPASSWORD, KADE_TEST_DB (a database with the schema), KADE_TEST_DB_EMPTY (one without).
# A database made once and copied for each test:  ctl db DIR create NAME | schema NAME | copy TEMPLATE NAME | drop NAME

PG_BIN=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
PG_USER=$(id -un)
[ "$(id -u)" != 0 ] || PG_USER=postgres

postgres_start()
{
	local dir=$1 password
	[ -x "$PG_BIN/initdb" ] || die "PostgreSQL is not installed (package postgresql)"
	own_dir "$dir" "$PG_USER"
	chmod 755 "$dir"
	if [ ! -s "$dir/env" ]; then
		password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
		(umask 077 && echo "$password" >"$dir/password")
		[ "$(id -u)" != 0 ] || chown "$PG_USER" "$dir/password"
		(as_user "$PG_USER" "$PG_BIN/initdb" -D "$dir/data" -U kade --pwfile="$dir/password" -A scram-sha-256 \
			-E UTF8 --locale=C --lc-ctype=C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1) ||
			{ cat "$dir/initdb.log" >&2; die "initdb failed"; }
		# Not durable: tests of durability make a cluster of their own and set fsync on.
		cat >>"$dir/data/postgresql.conf" <<-END
			listen_addresses = ''
			unix_socket_directories = '$dir'
			fsync = off
			full_page_writes = off
			max_connections = 600
			shared_buffers = 64MB
			log_min_messages = warning
			log_lock_waits = on
			deadlock_timeout = 200ms
		END
		[ -z "${CONF:-}" ] || cat "$CONF" >>"$dir/data/postgresql.conf"
		say_env "$dir" PGHOST "$dir"
		say_env "$dir" PGUSER kade
		say_env "$dir" PGPASSWORD "$password"
		say_env "$dir" KADE_TEST_DB "postgresql://kade:$password@/kade_test?host=$dir"
		say_env "$dir" KADE_TEST_DB_EMPTY "postgresql://kade:$password@/kade_empty?host=$dir"
	fi
	spawn "$dir" postgres "$PG_USER" "$PG_BIN/postgres" -D "$dir/data"
	. "$dir/env"
	export PGHOST PGUSER PGPASSWORD
	until_ok 60 psql -qAtd postgres -c 'SELECT 1' || { cat "$dir/postgres.log" >&2; die "PostgreSQL does not answer"; }
	if ! psql -qAtd postgres -c "SELECT 1 FROM pg_database WHERE datname = 'kade_test'" | grep -q 1; then
		postgres_db "$dir" create kade_test
		postgres_db "$dir" schema kade_test
		postgres_db "$dir" create kade_empty
	fi
}

postgres_stop()
{
	stop_pid "$1/postgres.pid" 60 INT
}

# The migrations, in order, each in one transaction unless it says otherwise.
postgres_schema()
{
	local file one
	for file in "$top"/sql/schema/[0-9]*.sql; do
		[ -e "$file" ] || continue
		one=--single-transaction
		! grep -q '^-- transaction: none' "$file" || one=
		psql -Xqd "$1" -v ON_ERROR_STOP=1 $one -f "$file" >/dev/null || die "schema: $file failed"
	done
}

# postgres_db DIR create NAME | schema NAME | copy TEMPLATE NAME | drop NAME | uri NAME
postgres_db()
{
	local dir=$1 verb=$2
	shift 2
	. "$dir/env"
	export PGHOST PGUSER PGPASSWORD
	case $verb in
	create) psql -qd postgres -v n="$1" <<<'CREATE DATABASE :"n"' ;;
	schema) postgres_schema "$1" ;;
	copy)   psql -qd postgres -v t="$1" -v n="$2" <<<'CREATE DATABASE :"n" TEMPLATE :"t"' ;;
	drop)   psql -qd postgres -v n="$1" <<<'DROP DATABASE IF EXISTS :"n" WITH (FORCE)' ;;
	uri)    echo "postgresql://kade:$PGPASSWORD@/$1?host=$dir" ;;
	*)      die "db: unknown verb $verb" ;;
	esac
}
