/* DB_URI and DB_CONNECTION_ARGS into libpq's keywords and values. */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/vec.h"
#include "conf/load.h"

struct pairs {
	VEC(const char *) kw;
	VEC(const char *) values;
};

static void
pair_set(struct arena *mem, struct pairs *p, const char *kw, const char *value)
{
	for (size_t i = 0; i < p->kw.n; i++) {
		if (strcmp(p->kw.v[i], kw) != 0)
			continue;
		p->values.v[i] = value;
		return;
	}
	vec_push(mem, &p->kw, kw);
	vec_push(mem, &p->values, value);
}

static int
hex_digit(char ch)
{
	const int lower = tolower((unsigned char)ch);

	return isdigit((unsigned char)ch) ? ch - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* NULL: a broken escape or a NUL byte. A plus sign is itself. */
static char *
percent_decode(struct arena *mem, struct str s)
{
	char *out = arena_alloc(mem, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			out[n++] = s.p[i];
			continue;
		}
		if (s.n - i < 3 || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0)
			return NULL;
		out[n] = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
		if (out[n++] == '\0')
			return NULL;
		i += 2;
	}
	out[n] = '\0';
	return out;
}

static bool
scheme_cut(const char *uri, struct str *rest, const char **why)
{
	static const char *const known[] = { "postgresql", "postgres", "postgresql+psycopg2",
		                             "postgresql+psycopg" };
	struct str s = str_of(uri);
	const char *sep = strstr(uri, "://");

	if (sep == NULL) {
		*why = "postgresql://user:password@host/database is wanted";
		return false;
	}
	*rest = str_of(sep + 3);
	s.n = (size_t)(sep - uri);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (str_eq_c(s, known[i]))
			return true;
	*why = str_starts(s, STR("mysql")) || str_starts(s, STR("sqlite")) || str_starts(s, STR("mariadb"))
	           ? "MySQL, MariaDB and SQLite are not supported: PostgreSQL is wanted"
	           : "the scheme has to be postgresql";
	return false;
}

static bool
login_parse(struct arena *mem, struct str login, struct pairs *out, const char **why)
{
	struct str user, password;
	const bool has_password = str_cut(login, ':', &user, &password);
	const char *u = percent_decode(mem, user), *p = percent_decode(mem, password);

	if (u == NULL || p == NULL) {
		*why = "a % in user or password that is no escape: write it as %25";
		return false;
	}
	if (u[0] != '\0')
		pair_set(mem, out, "user", u);
	if (has_password && p[0] != '\0')
		pair_set(mem, out, "password", p);
	return true;
}

/* host, host:port, [v6], [v6]:port. */
static bool
host_parse(struct arena *mem, struct str one, const char **host, struct str *port, const char **why)
{
	struct str name;
	int64_t n;

	if (one.n > 0 && one.p[0] == '[') {
		if (!str_cut(str_sub(one, 1, one.n), ']', &name, port) ||
		    (port->n > 0 && port->p[0] != ':')) {
			*why = "a [ without ] in the host";
			return false;
		}
		*port = port->n > 0 ? str_sub(*port, 1, port->n) : STR0;
	} else {
		str_cut(one, ':', &name, port);
	}
	if (port->n > 0 && !str_to_i64(*port, 1, 65535, &n)) {
		*why = "the port has to be a number; @ : / in a password are written %40 %3A %2F";
		return false;
	}
	*host = percent_decode(mem, name);
	if (*host == NULL)
		*why = "a % in the host that is no escape";
	return *host != NULL;
}

/* user:password@ and then hosts; several with commas, as libpq takes them. */
static bool
authority_parse(struct arena *mem, struct str auth, struct pairs *out, const char **why)
{
	struct str login, rest = auth, one, port;
	const char *host, *hosts = "", *ports = "";
	bool has_port = false;

	if (str_rcut(auth, '@', &login, &rest)) {
		if (!login_parse(mem, login, out, why))
			return false;
	} else {
		rest = auth;
	}
	for (bool more = rest.n > 0, first = true; more; first = false) {
		more = str_cut(rest, ',', &one, &rest);
		if (!host_parse(mem, one, &host, &port, why))
			return false;
		has_port |= port.n > 0;
		hosts = str_fmt(mem, "%s%s%s", hosts, first ? "" : ",", host);
		ports = str_fmt(mem, "%s%s%.*s", ports, first ? "" : ",", STRF(port));
	}
	if (hosts[0] != '\0')
		pair_set(mem, out, "host", hosts);
	if (has_port)
		pair_set(mem, out, "port", ports);
	return true;
}

static bool
options_parse(struct arena *mem, struct str query, struct pairs *out, const char **why)
{
	struct str one, name, value;

	for (bool more = query.n > 0; more;) {
		more = str_cut(query, '&', &one, &query);
		if (one.n == 0)
			continue;
		str_cut(one, '=', &name, &value);
		const char *n = percent_decode(mem, name), *v = percent_decode(mem, value);
		if (n == NULL || v == NULL || n[0] == '\0') {
			*why = "the part behind ? is not name=value";
			return false;
		}
		if (strcmp(n, "charset") != 0)
			pair_set(mem, out, n, v);
	}
	return true;
}

static bool
uri_parse(struct arena *mem, const char *uri, struct pairs *out, const char **why)
{
	struct str rest, auth, path, query;

	if (!scheme_cut(uri, &rest, why))
		return false;
	const bool has_query = str_cut(rest, '?', &rest, &query);
	str_cut(rest, '/', &auth, &path);
	if (!authority_parse(mem, auth, out, why))
		return false;
	const char *db = percent_decode(mem, path);
	if (db == NULL || db[0] == '\0' || strchr(db, '/') != NULL) {
		*why = "the database's name is missing behind the host";
		return false;
	}
	pair_set(mem, out, "dbname", db);
	return !has_query || options_parse(mem, query, out, why);
}

bool
db_uri_parse(struct arena *mem, const char *uri, struct str_list *keywords, struct str_list *values,
             const char **why)
{
	struct pairs p = { 0 };

	if (!uri_parse(mem, uri, &p, why))
		return false;
	*keywords = (struct str_list){ p.kw.v, p.kw.n };
	*values = (struct str_list){ p.values.v, p.values.n };
	return true;
}

/* What libpq takes; other names in DB_CONNECTION_ARGS are named and left out, or every connection would fail.
 */
static const char *const LIBPQ[] = {
	"host",
	"hostaddr",
	"port",
	"dbname",
	"user",
	"password",
	"passfile",
	"channel_binding",
	"connect_timeout",
	"client_encoding",
	"options",
	"application_name",
	"fallback_application_name",
	"keepalives",
	"keepalives_idle",
	"keepalives_interval",
	"keepalives_count",
	"tcp_user_timeout",
	"sslmode",
	"sslcompression",
	"sslcert",
	"sslkey",
	"sslpassword",
	"sslrootcert",
	"sslcrl",
	"sslcrldir",
	"sslsni",
	"requirepeer",
	"ssl_min_protocol_version",
	"ssl_max_protocol_version",
	"gssencmode",
	"krbsrvname",
	"gsslib",
	"service",
	"target_session_attrs",
};
static const char *const POOL_ONLY[] = { "threadlocals",  "autorollback", "max_connections",
	                                 "stale_timeout", "timeout",      "_driver_autocommit",
	                                 "autocommit" };

static bool
one_of(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* Booleans are 0 and 1 for libpq; files are looked up beside config.yaml. */
static const char *
arg_text(struct load *l, const char *kw, const struct node *nd)
{
	if (nd->type == NODE_BOOL)
		return nd->b ? "1" : "0";
	if (strncmp(kw, "ssl", 3) == 0 &&
	    (strstr(kw, "cert") != NULL || strstr(kw, "key") != NULL || strstr(kw, "crl") != NULL) &&
	    strcmp(nd->text, "system") != 0)
		return conf_file(l->c->mem, l->conf, nd->text);
	return nd->text;
}

static void
args_apply(struct load *l, struct pairs *p)
{
	const struct node *args = load_given(l, "DB_CONNECTION_ARGS");

	for (size_t i = 0; args != NULL && args->type == NODE_MAP && i < args->n; i++) {
		const char *kw = args->keys[i];
		const struct node *nd = args->items[i];
		if (nd->type == NODE_NULL || one_of(POOL_ONLY, sizeof POOL_ONLY / sizeof POOL_ONLY[0], kw))
			continue;
		if (strcmp(kw, "ssl") == 0 && nd->type == NODE_MAP) {
			conf_note(l->rep, CONF_ERROR, "DB_CONNECTION_ARGS.ssl", nd->line,
			          "this form is MySQL's; use sslmode and sslrootcert");
			continue;
		}
		if (nd->text == NULL || !one_of(LIBPQ, sizeof LIBPQ / sizeof LIBPQ[0], kw)) {
			conf_note(l->rep, CONF_WARNING, str_fmt(l->c->mem, "DB_CONNECTION_ARGS.%.60s", kw),
			          nd->line, "libpq has no such option: ignored");
			continue;
		}
		pair_set(l->c->mem, p, kw, arg_text(l, kw, nd));
	}
}

static void
uri_options_check(struct load *l, const char *name, const struct pairs *p)
{
	static const char *const modes[] = { "disable", "allow",     "prefer",
		                             "require", "verify-ca", "verify-full" };

	for (size_t i = 0; i < p->kw.n; i++) {
		if (!one_of(LIBPQ, sizeof LIBPQ / sizeof LIBPQ[0], p->kw.v[i]))
			conf_note(l->rep, CONF_ERROR, name, load_line(l, name), "libpq has no option %.60s",
			          p->kw.v[i]);
		if (strcmp(p->kw.v[i], "sslmode") == 0 && !one_of(modes, 6, p->values.v[i]))
			conf_note(
			    l->rep, CONF_ERROR, name, load_line(l, name),
			    "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full");
	}
}

static const char *
pair_get(const struct pairs *p, const char *kw)
{
	for (size_t i = 0; i < p->kw.n; i++)
		if (strcmp(p->kw.v[i], kw) == 0)
			return p->values.v[i];
	return NULL;
}

void
db_load(struct load *l, const char *name, const char *uri, struct conf_db *out)
{
	struct pairs p = { 0 };
	const char *why;

	if (uri == NULL || uri[0] == '\0' || !uri_parse(l->c->mem, uri, &p, &why))
		return; /* the check of the key has said so */
	args_apply(l, &p);
	uri_options_check(l, name, &p);
	if (pair_get(&p, "connect_timeout") == NULL)
		pair_set(l->c->mem, &p, "connect_timeout", "10");
	out->host = pair_get(&p, "host");
	out->port = pair_get(&p, "port");
	out->user = pair_get(&p, "user");
	out->dbname = pair_get(&p, "dbname");
	out->n = p.kw.n;
	vec_push(l->c->mem, &p.kw, NULL);
	vec_push(l->c->mem, &p.values, NULL);
	out->keywords = p.kw.v;
	out->values = p.values.v;
}
