/* kade-config check: what the configuration names outside of itself. Files always, the database with
 * --online. */
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "config.h"
#include "net/ca.h"
#include "net/redis-conf.h"
#include "net/redis.h"
#include "net/smtp.h"

static void
file_check(const char *key, const char *path, struct conf_report *rep)
{
	if (path == NULL || path[0] == '\0' || access(path, R_OK) == 0)
		return;
	conf_note(rep, CONF_ERROR, key, 0, "%s: %s", path, strerrordesc_np(errno));
}

static void
redis_files(const char *key, const struct conf_redis *r, struct conf_report *rep)
{
	if (!r->ssl)
		return;
	file_check(key, r->ssl_ca_certs, rep);
	file_check(key, r->ssl_ca_path, rep);
	file_check(key, r->ssl_certfile, rep);
	file_check(key, r->ssl_keyfile, rep);
}

static void
folder_check(const char *key, int line, const char *path, struct conf_report *rep)
{
	struct stat st;

	if (stat(path, &st) != 0)
		conf_note(rep, CONF_ERROR, key, line, "%s: %s", path, strerrordesc_np(errno));
	else if (!S_ISDIR(st.st_mode))
		conf_note(rep, CONF_ERROR, key, line, "%s is not a folder", path);
	else if (access(path, R_OK | W_OK | X_OK) != 0)
		conf_note(rep, CONF_ERROR, key, line, "%s: %s (user id %ld)", path, strerrordesc_np(errno),
		          (long)geteuid());
}

/* The folder under which a file system is mounted, seen from path: the last one on the way up with the same
 * device. */
static char *
mount_point(struct arena *mem, const char *path)
{
	char *at = str_dup_c(mem, path);
	struct stat here, above;

	if (stat(at, &here) != 0)
		return NULL;
	for (char *slash; (slash = strrchr(at, '/')) != NULL;) {
		char *parent = slash == at ? str_dup_c(mem, "/")
		                           : str_dup(mem, (struct str){ at, (size_t)(slash - at) });
		if (stat(parent, &above) != 0 || above.st_dev != here.st_dev || strcmp(at, "/") == 0)
			break;
		at = parent;
	}
	return at;
}

static void
local_storage(struct ctx *c, const struct conf_location *l, struct conf_report *rep)
{
	const char *key = str_fmt(c->mem, "DISTRIBUTED_STORAGE_CONFIG.%.100s", l->name);
	const char *path = conf_param_str(l, "storage_path", NULL), *mount;

	if (strcmp(l->driver, "LocalStorage") != 0 || path == NULL || path[0] != '/')
		return;
	folder_check(key, l->line, path, rep);
	mount = mount_point(c->mem, path);
	if (mount != NULL && strcmp(mount, "/") == 0)
		conf_note(rep, CONF_WARNING, key, l->line,
		          "%s lies on the root file system: blobs could fill it", path);
}

void
config_check_files(struct ctx *c, const struct conf *conf, struct conf_report *rep)
{
	static const char *const options[] = { "sslrootcert", "sslcert", "sslkey" };

	for (size_t i = 0; i < conf->db.n; i++)
		for (size_t j = 0; j < 3; j++)
			if (strcmp(conf->db.keywords[i], options[j]) == 0 &&
			    strcmp(conf->db.values[i], "system") != 0)
				file_check(str_fmt(c->mem, "DB_CONNECTION_ARGS.%s", options[j]),
				           conf->db.values[i], rep);
	redis_files("BUILDLOGS_REDIS", &conf->redis_buildlogs, rep);
	redis_files("USER_EVENTS_REDIS", &conf->redis_userevents, rep);
	for (size_t i = 0; i < conf->locations.n; i++)
		local_storage(c, &conf->locations.v[i], rep);
	if (conf_is_set(conf, "KADE.SPOOL_DIR"))
		folder_check("KADE.SPOOL_DIR", 0, conf->kade_spool_dir, rep);
	if (conf_is_set(conf, "KADE.STATE_DIR"))
		folder_check("KADE.STATE_DIR", 0, conf->kade_state_dir, rep);
	if (conf_is_set(conf, "KADE.KEY_DIR"))
		folder_check("KADE.KEY_DIR", 0, conf->kade_key_dir, rep);
}

static void
finish_connection(void *p)
{
	PQfinish(p);
}

static PGconn *
connect_to(struct ctx *c, const struct conf_db *db, const char *key, struct conf_report *rep)
{
	const char **kw = ARENA_ARRAY(c->mem, const char *, db->n + 3),
	           **values = ARENA_ARRAY(c->mem, const char *, db->n + 3);
	PGconn *pg;

	/* A later keyword wins in libpq: five seconds here, whatever the registry's own patience. */
	memcpy(kw, db->keywords, db->n * sizeof *kw);
	memcpy(values, db->values, db->n * sizeof *values);
	kw[db->n] = "connect_timeout";
	values[db->n] = "5";
	kw[db->n + 1] = "application_name";
	values[db->n + 1] = "kade-config";
	pg = PQconnectdbParams(kw, values, 0);
	if (pg == NULL) {
		conf_note(rep, CONF_ERROR, key, 0, "no memory for a connection");
		return NULL;
	}
	arena_defer(c->mem, finish_connection, pg);
	if (PQstatus(pg) == CONNECTION_OK)
		return pg;
	const struct str why = str_trim(str_of(PQerrorMessage(pg)));
	conf_note(rep, CONF_ERROR, key, 0, "%.*s", STRF(why));
	return NULL;
}

/* The first cell, or NULL with a note. Given. */
static const char *
ask(struct ctx *c, PGconn *pg, const char *sql, struct conf_report *rep)
{
	PGresult *r = PQexec(pg, sql);
	const char *out = NULL;

	if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0 && !PQgetisnull(r, 0, 0)) {
		out = str_dup_c(c->mem, PQgetvalue(r, 0, 0));
	} else {
		const struct str why = str_trim(str_of(PQerrorMessage(pg)));
		conf_note(rep, CONF_ERROR, "DB_URI", 0, "%s: %.*s", sql, STRF(why));
	}
	PQclear(r);
	return out;
}

static void
connections_check(struct ctx *c, PGconn *pg, const struct conf *conf, const struct fleet *fleet,
                  struct conf_report *rep)
{
	const char *free_slots = ask(c, pg,
	                             "SELECT current_setting('max_connections')::int - "
	                             "current_setting('superuser_reserved_connections')::int",
	                             rep);
	const long long wanted =
	    (long long)fleet->hosts * fleet->processes * (long long)conf->kade_db_connections;
	int64_t have;

	if (free_slots == NULL || !str_to_i64(str_of(free_slots), 0, INT32_MAX, &have))
		return;
	if (conf->kade_db_pooler == CONF_POOLER_NONE && wanted > have)
		conf_note(rep, CONF_ERROR, "KADE.DB_CONNECTIONS", 0,
		          "%ld hosts × %ld processes × %lld connections = %lld, but the database allows %lld",
		          fleet->hosts, fleet->processes, (long long)conf->kade_db_connections, wanted,
		          (long long)have);
}

void
config_check_db(struct ctx *c, const struct conf *conf, const struct fleet *fleet, struct conf_report *rep)
{
	PGconn *pg, *session;
	const char *encoding, *trgm;

	if (conf->db.keywords == NULL)
		return;
	pg = connect_to(c, &conf->db, "DB_URI", rep);
	session = conf->kade_db_session_uri == NULL
	              ? pg
	              : connect_to(c, &conf->db_session, "KADE.DB_SESSION_URI", rep);
	if (pg == NULL || session == NULL)
		return;
	if (PQserverVersion(session) < 130000)
		conf_note(rep, CONF_ERROR, "DB_URI", 0, "PostgreSQL 13 or later is needed, this is %s",
		          PQparameterStatus(session, "server_version"));
	encoding = ask(c, session, "SHOW server_encoding", rep);
	if (encoding != NULL && strcmp(encoding, "UTF8") != 0)
		conf_note(rep, CONF_ERROR, "DB_URI", 0, "the database's encoding has to be UTF8, this is %s",
		          encoding);
	trgm =
	    ask(c, session,
	        "SELECT CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN 'there' "
	        "WHEN EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN 'available' "
	        "ELSE 'missing' END",
	        rep);
	if (trgm != NULL && strcmp(trgm, "missing") == 0)
		conf_note(rep, CONF_ERROR, "DB_URI", 0,
		          "the extension pg_trgm is not installed on the database's host");
	if (trgm != NULL && strcmp(trgm, "available") == 0)
		conf_note(
		    rep, CONF_INFO, "DB_URI", 0,
		    "the extension pg_trgm is not in this database yet: the first migration creates it");
	connections_check(c, session, conf, fleet, rep);
}

static void
redis_check(struct ctx *c, const char *key, const struct conf_redis *r, struct conf_report *rep)
{
	struct rdb_pool *pool;
	struct rdb_conf rc;

	rdb_conf_from(c, r, &rc);
	if (rdb_pool_new(c, &rc, &pool) != ERR_NONE) {
		conf_note(rep, CONF_ERROR, key, 0, "%s", c->err.text);
		return;
	}
	if (rdb_ping(c, pool) != ERR_NONE)
		conf_note(rep, CONF_WARNING, key, 0, "%s", c->err.text);
	rdb_pool_free(pool);
}

void
config_check_redis(struct ctx *c, const struct conf *conf, struct conf_report *rep)
{
	redis_check(c, "BUILDLOGS_REDIS", &conf->redis_buildlogs, rep);
	redis_check(c, "USER_EVENTS_REDIS", &conf->redis_userevents, rep);
}

/* Connects, starts TLS and logs in; sends nothing. A server that is away is no reason not to start: mails wait. */
void
config_check_mail(struct ctx *c, const struct conf *conf, struct conf_report *rep)
{
	struct smtp_conf sc = { .host = conf->mail_server,
		                .port = (int)conf->mail_port,
		                .tls = conf->mail_use_ssl   ? SMTP_TLS
		                       : conf->mail_use_tls ? SMTP_STARTTLS
		                                            : SMTP_PLAIN,
		                .username = conf->mail_username,
		                .password = conf->mail_password,
		                .sender = conf->mail_default_sender,
		                .connect_timeout_ms = 5000 };
	char ca[] = "/tmp/kade-config-ca.XXXXXX";
	struct ca_bundle b;
	struct smtp *s;
	int fd;

	if (!conf->feature_mailing)
		return;
	if (smtp_open(c, &sc, &s) != ERR_NONE) {
		conf_note(rep, CONF_ERROR, "MAIL_DEFAULT_SENDER", 0, "%s", c->err.text);
		return;
	}
	smtp_close(s);
	if ((fd = mkstemp(ca)) < 0)
		return;
	close(fd);
	sc.ca_file = ca;
	if (ca_bundle_load(c, &(struct ca_sources){ .conf_dir = conf->dir }, &b) != ERR_NONE || ca_bundle_write(c, &b, ca) != ERR_NONE ||
	    smtp_open(c, &sc, &s) != ERR_NONE) {
		conf_note(rep, CONF_WARNING, "MAIL_SERVER", 0, "%s", c->err.text);
	} else {
		if (smtp_probe(c, s) != ERR_NONE)
			conf_note(rep, CONF_WARNING, "MAIL_SERVER", 0, "%s", c->err.text);
		smtp_close(s);
	}
	unlink(ca);
}
