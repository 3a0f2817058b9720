# The web servers, each with the very file of conf-examples/, ports and paths put in. Kinds: lighttpd, apache
# (mod_proxy_fcgi), apache-fcgid, nginx. Variables:
#   SOCKETS  folder with api.sock and transfer.sock      PORT      where to listen (loopback); default: a free one
#   TLS=yes  keep the TLS block (makes a certificate)    FCGI, CONFIG  apache-fcgid: the program and its config.yaml
#   REDIRECT_PORT  in place of port 80, TLS only
#   SENDFILE  lighttpd: the folder whose files it may send when told so, as the example file describes
# env: WEB_URL, WEB_PORT.

WEB_USER=$(id -un)
[ "$(id -u)" != 0 ] || WEB_USER=www-data

# example_fill FILE DIR — an example file with this run's values, to stdout.
example_fill()
{
	local src=$top/conf-examples/$1 dir=$2 group
	local -a drop=(-e '/^[[:space:]]*# TLS begin/,/^[[:space:]]*# TLS end/d' -e 's/443 ssl http2/443/')
	group=$(id -gn "$WEB_USER")
	[ "${TLS:-no}" = no ] || drop=(-e '/\[::\]/d' -e "s/\\b80\\b/127.0.0.1:$REDIRECT_PORT/")
	[ -z "${SENDFILE:-}" ] || drop+=(-e "/^var\.\(api\|transfer\)/s,\"enable\" ),\"enable\"\, \"x-sendfile\" => \"enable\"\, \"x-sendfile-docroot\" => ( \"$SENDFILE\" ) ),")
	[ "$(id -u)" = 0 ] || drop+=(-e '/^server\.\(username\|groupname\)/d' -e '/^\(User\|Group\|user\) /d')
	# shellcheck disable=SC2016
	sed "${drop[@]}" \
		-e 's/":127.0.0.1:/"127.0.0.1:/' -e 's/\*:127.0.0.1:/*:/' \
		-e "s/^server\\.port .*/server.port = $PORT\\nserver.bind = \"127.0.0.1\"/" \
		-e "s/^Listen 443/Listen 127.0.0.1:$PORT/" -e "s/listen 443/listen 127.0.0.1:$PORT/" -e "s/\\b443\\b/$PORT/g" \
		-e "s,/run/kade/api.sock,$SOCKETS/api.sock,g" -e "s,/run/kade/transfer.sock,$SOCKETS/transfer.sock,g" \
		-e "s,/run/kade\\b,$dir/run,g" -e "s,/run/lighttpd.pid,$dir/run/lighttpd.pid,g" \
		-e "s,/var/cache/kade/spool/web,$dir/spool,g" -e "s,/var/empty,$dir/empty,g" \
		-e "s,/var/log/\\(lighttpd\\|apache2\\|nginx\\),$dir/log,g" -e "s,/etc/kade/tls/registry.example.com,$dir/tls,g" \
		-e "s,/usr/local/libexec/kade.fcgi,${FCGI:-/nonexistent},g" -e "s,/etc/kade/config.yaml,${CONFIG:-/nonexistent},g" \
		-e "s,/etc/kade/,$dir/,g" -e "s/www-data/$WEB_USER/g" -e "s/kade-web/$group/g" \
		-e 's/registry\.example\.com/localhost/g' "$src"
}

web_prepare()
{
	local dir=$1 d
	PORT=${PORT:-$(free_port)}
	REDIRECT_PORT=${REDIRECT_PORT:-$(free_port)}
	own_dir "$dir" "$WEB_USER"
	for d in run spool spool/fastcgi spool/body log empty run/fcgid; do
		own_dir "$dir/$d" "$WEB_USER"
	done
	if [ "${TLS:-no}" = yes ] && [ ! -s "$dir/tls.crt" ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
			-addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout "$dir/tls.key" -out "$dir/tls.crt" 2>/dev/null
	fi
	: >"$dir/env"
	say_env "$dir" WEB_PORT "$PORT"
	say_env "$dir" WEB_URL "http$([ "${TLS:-no}" = no ] || echo s)://localhost:$PORT"
}

web_wait()
{
	until_ok 20 listening "$PORT" || { cat "$1"/*.log "$1"/log/* >&2; die "$2 does not listen on $PORT"; }
}

lighttpd_start()
{
	command -v lighttpd >/dev/null || die "lighttpd is not installed"
	web_prepare "$1"
	example_fill lighttpd.conf "$1" >"$1/lighttpd.conf"
	spawn "$1" lighttpd root lighttpd -D -f "$1/lighttpd.conf"
	web_wait "$1" lighttpd
}

lighttpd_stop()
{
	stop_pid "$1/lighttpd.pid" 20 TERM
}

apache_run()
{
	local dir=$1 site=$2
	[ -x /usr/sbin/apache2 ] || die "apache2 is not installed"
	web_prepare "$dir"
	example_fill "$site" "$dir" >"$dir/$site"
	example_fill apache-main.conf "$dir" | sed "s,^Include .*,Include \"$dir/$site\"," >"$dir/apache-main.conf"
	TMPDIR=$dir/spool spawn "$dir" apache root /usr/sbin/apache2 -D FOREGROUND -f "$dir/apache-main.conf"
	web_wait "$dir" apache2
}

apache_start()
{
	apache_run "$1" apache-proxy-fcgi.conf
}

apache_stop()
{
	stop_pid "$1/apache.pid" 20
}

apache-fcgid_start()
{
	: "${FCGI:?FCGI=program}"
	apache_run "$1" apache-fcgid.conf
}

apache-fcgid_stop()
{
	stop_pid "$1/apache.pid" 30
}

nginx_start()
{
	[ -x /usr/sbin/nginx ] || die "nginx is not installed"
	web_prepare "$1"
	example_fill nginx.conf "$1" >"$1/nginx.conf"
	example_fill nginx-main.conf "$1" >"$1/nginx-main.conf"
	spawn "$1" nginx root /usr/sbin/nginx -e "$1/log/start.log" -p "$1" -c "$1/nginx-main.conf" -g 'daemon off;'
	web_wait "$1" nginx
}

nginx_stop()
{
	stop_pid "$1/nginx.pid" 20
}
