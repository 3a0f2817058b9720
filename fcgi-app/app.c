/* What kade.fcgi serves: its route tables and what a worker opens for them. */
#include "app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "api/routes.h"
#include "auth/bucket.h"
#include "auth/gate.h"
#include "auth/keyring.h"
#include "auth/login.h"
#include "auth/page-token.h"
#include "auth/password.h"
#include "auth/throttle.h"
#include "auth/token-cache.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/ctx.h"
#include "base/log.h"
#include "conf/conf.h"
#include "db/db.h"
#include "http/dispatch.h"
#include "http/route.h"
#include "model/pull-log.h"
#include "model/schema.h"
#include "model/upload.h"
#include "net/redis.h"
#include "options.h"
#include "registry/v2.h"
#include "site/routes.h"
#include "store/store.h"

#define TOKEN_ENTRIES 4096
#define TOKEN_BYTES   (1 << 20)
#define SCHEMA_EVERY_US 5000000
#define FINISH_MS     2000

static bool
failed(const struct ctx *c, const char *what, char *why, size_t why_bytes)
{
	snprintf(why, why_bytes, "%s: %s", what, c->err.text);
	return false;
}

static struct db_pool *
open_db(const struct conf *cf, int threads)
{
	return db_pool_new(&(struct db_pool_conf){ .keywords = cf->db.keywords,
	                                           .values = cf->db.values,
	                                           .size = threads < cf->kade_db_connections ? threads : (int)cf->kade_db_connections,
	                                           .pooler = (enum db_pooler)cf->kade_db_pooler,
	                                           .program = "kade.fcgi",
	                                           .statement_timeout_ms = (int)cf->kade_db_statement_timeout_s * 1000,
	                                           .lock_timeout_ms = (int)cf->kade_db_lock_timeout_s * 1000,
	                                           .connect_timeout_s = 3 });
}

static bool
open_stores(struct ctx *c, struct app *app, char *why, size_t why_bytes)
{
	const struct conf          *cf = app->conf;
	struct store_location_conf *l = ARENA_ARRAY(c->mem, struct store_location_conf, cf->locations.n + 1);
	const char                **preference = ARENA_ARRAY(c->mem, const char *, cf->storage_preference.n + 1);
	struct store_set_conf       sc = { .locations = l, .n = cf->locations.n, .preference = preference, .n_preference = cf->storage_preference.n,
		                       .env = { .spool_dir = cf->kade_spool_dir, .is_read_only = cf->is_readonly } };

	for (size_t i = 0; i < cf->locations.n; i++)
		l[i] = (struct store_location_conf){ .name = cf->locations.v[i].name, .driver = cf->locations.v[i].driver, .params = cf->locations.v[i].params };
	for (size_t i = 0; i < cf->storage_preference.n; i++)
		preference[i] = cf->locations.v[cf->storage_preference.v[i]].name;
	return store_set_open(c, &sc, &app->stores) == ERR_NONE || failed(c, "storage", why, why_bytes);
}

/* What an operator must know before the first push: a local folder is no store for production. */
static void
warn_of_stores(const struct ctx *c, const struct app *app)
{
	for (size_t i = 0; i < store_count(app->stores); i++) {
		const struct store *s = store_at(app->stores, i);
		if (s->driver->warning != NULL)
			log_line(c, LOG_LEVEL_WARN, "location %s: %s", s->name, s->driver->warning);
	}
}

static bool
open_login(struct ctx *c, struct app *app, char *why, size_t why_bytes)
{
	const struct conf *cf = app->conf;
	struct login_env  *env = calloc(1, sizeof *env);
	struct jose_key   *key;
	void              *region;

	if (env == NULL)
		abort();
	app->login = env;
	if (secrets_init(c, str_of(cf->secret_key), str_of(cf->database_secret_key), &env->secrets) != ERR_NONE)
		return failed(c, "secret keys", why, why_bytes);
	if (instance_key_load(c, cf->kade_key_dir != NULL ? cf->kade_key_dir : cf->dir,
	                      cf->kade_token_algorithm == CONF_TOKEN_RS256 ? JOSE_RS256 : JOSE_ES256, &key) != ERR_NONE)
		return failed(c, "signing key", why, why_bytes);
	env->keys = keyring_new(key, KEYRING_SERVICE, cf->base_url);
	env->passwords = password_cache_new();
	env->tokens = token_cache_new(TOKEN_ENTRIES, TOKEN_BYTES);
	env->gate_slots = gate_slots_default();
	region = counters_region(app->counters, REGION_BCRYPT_GATE, gate_bytes());
	env->gate = region == NULL ? NULL : gate_init(region);
	region = counters_region(app->counters, REGION_LOGIN_THROTTLE, throttle_bytes());
	env->throttle = region == NULL ? NULL : throttle_init(region);
	region = counters_region(app->counters, REGION_RATE_BUCKETS, bucket_bytes());
	app->buckets = region == NULL ? NULL : bucket_init(region);
	if (env->gate == NULL || env->throttle == NULL || app->buckets == NULL) {
		snprintf(why, why_bytes, "the counters' regions are too small for the tables of this release");
		return false;
	}
	return true;
}

/* The key that page tokens are made with: PAGE_TOKEN_KEY, else derived from SECRET_KEY. */
static bool
open_page_key(struct ctx *c, struct app *app, char *why, size_t why_bytes)
{
	struct page_key  *k = calloc(1, sizeof *k);
	struct secret_key derived;

	if (k == NULL)
		abort();
	app->page_key = k;
	if (app->conf->page_token_key != NULL) {
		if (page_key_parse(c, str_of(app->conf->page_token_key), k))
			return true;
		snprintf(why, why_bytes, "PAGE_TOKEN_KEY is not the base64 text of 32 bytes");
		return false;
	}
	secret_key_derive(&app->login->secrets.application, "kade page token", &derived);
	memcpy(k->sign, derived.b, sizeof k->sign);
	memcpy(k->encrypt, derived.b + sizeof k->sign, sizeof k->encrypt);
	return true;
}

static int
tls_version(const char *name)
{
	return name != NULL && strcmp(name, "TLSv1.3") == 0 ? TLS1_3_VERSION : 0;
}

/* Redis is optional: a block that cannot be used is an error, a server that is away is none. */
static bool
open_redis(struct ctx *c, struct app *app, char *why, size_t why_bytes)
{
	const struct conf_redis *r = &app->conf->redis_userevents;
	struct rdb_node         *sentinels = ARENA_ARRAY(c->mem, struct rdb_node, r->sentinels.n + 1);
	const struct rdb_conf    rc = { .node = { r->host, (uint16_t)r->port }, .unix_socket_path = r->unix_socket_path, .username = r->username,
		                     .password = r->password, .client_name = r->client_name, .db = r->db, .ssl = r->ssl,
		                     .tls = { .verify = r->ssl_cert_reqs == CONF_REDIS_VERIFY_NONE ? TLS_VERIFY_NONE : TLS_VERIFY_REQUIRED, .any_host = !r->ssl_check_hostname, .ca_file = r->ssl_ca_certs,
		                              .ca_path = r->ssl_ca_path, .cert_file = r->ssl_certfile, .key_file = r->ssl_keyfile,
		                              .ciphers = r->ssl_ciphers, .min_version = tls_version(r->ssl_min_version) },
		                     .sentinels = sentinels, .n_sentinels = r->sentinels.n, .sentinel_master = r->sentinel_primary,
		                     .sentinel_username = r->sentinel_username, .sentinel_password = r->sentinel_password };

	for (size_t i = 0; i < r->sentinels.n; i++) {
		struct str host, port;
		int64_t    n = 0;
		str_rcut(str_of(r->sentinels.v[i]), ':', &host, &port);
		if (!str_to_i64(port, 1, 65535, &n))
			host = str_of(r->sentinels.v[i]);
		sentinels[i] = (struct rdb_node){ str_dup(c->mem, host), (uint16_t)n };
	}
	if (r->host == NULL && r->unix_socket_path == NULL && r->sentinels.n == 0)
		return true;
	return rdb_pool_new(c, &rc, &app->redis) == ERR_NONE || failed(c, "USER_EVENTS_REDIS", why, why_bytes);
}

enum err_kind
app_schema_fits(struct app *app, struct ctx *c)
{
	const int     state = atomic_load(&app->schema);
	const int64_t now_us = clock_mono_us();
	enum err_kind e;

	if (state == 1)
		return ERR_NONE;
	if (state == 2 && now_us - atomic_load(&app->schema_asked_us) < SCHEMA_EVERY_US)
		return err_set(c, ERR_BUSY, "the schema and this program do not fit, see the log");
	atomic_store(&app->schema_asked_us, now_us);
	e = schema_check(c);
	if (e == ERR_UNSUPPORTED) {
		atomic_store(&app->schema, 2);
		log_line(c, LOG_LEVEL_ERROR, "%s", c->err.text);
		return err_set(c, ERR_BUSY, "the schema and this program do not fit");
	}
	if (e == ERR_NONE)
		atomic_store(&app->schema, 1);
	err_clear(c); /* a database that is away is the request's own trouble */
	return ERR_NONE;
}

/* What the database must know of this process: its locations and its key. A database that is away is no reason not to start:
 * it is told with the first token, and locations at the next start of any process. */
static void
announce(struct ctx *c, struct app *app)
{
	enum err_kind e = ERR_NONE;

	if (app_schema_fits(app, c) != ERR_NONE || app->conf->is_readonly)
		return;
	for (size_t i = 0; i < app->conf->locations.n && e == ERR_NONE; i++)
		e = location_ensure(c, app->conf->locations.v[i].name);
	if (e == ERR_NONE)
		e = keyring_announce(c, app->login->keys);
	if (e != ERR_NONE)
		log_line(c, LOG_LEVEL_WARN, "the database does not answer yet: %s", c->err.text);
}

bool
app_open(struct app *app, const struct options *o, char *why, size_t why_bytes)
{
	struct ctx c = { .conf = app->conf, .mem = arena_new(0), .log = app->log, .counters = app->counters };
	bool       ok;

	atomic_store(&app->stores_ok, true);
	app->db = c.db = open_db(app->conf, o->threads);
	ok = open_stores(&c, app, why, why_bytes) && open_login(&c, app, why, why_bytes) && open_page_key(&c, app, why, why_bytes) &&
	     open_redis(&c, app, why, why_bytes);
	if (ok && strcmp(o->pool, "api") == 0)
		warn_of_stores(&c, app);
	if (ok)
		announce(&c, app);
	arena_free(c.mem);
	c.mem = NULL;
	app->pulls = pull_log_new(&c);
	if (ok && (app->pulls == NULL || !pull_log_start(app->pulls))) {
		snprintf(why, why_bytes, "no thread or memory for the log of pulls");
		return false;
	}
	return ok;
}

bool
app_finish(struct app *app)
{
	return pull_log_stop(app->pulls, FINISH_MS);
}

void
app_close(struct app *app)
{
	pull_log_free(app->pulls);
	store_set_close(app->stores);
	db_pool_free(app->db);
}

const struct route *const *
app_routes(void)
{
	static const struct route *const TABLES[] = { REG_PING_ROUTES, REG_TOKEN_ROUTES, REG_BLOB_ROUTES, REG_UPLOAD_ROUTES,
		                                      REG_MANIFEST_ROUTES, REG_LIST_ROUTES, SITE_HEALTH_ROUTES, SITE_KEY_ROUTES, SITE_KEY_SERVER_ROUTES,
		                                      SITE_WELL_KNOWN_ROUTES, SITE_OAUTH_AUTHORIZE_ROUTES, SITE_OAUTH_TOKEN_ROUTES,
		                                      API_INITIALIZE_ROUTES,
		                                      API_SIGNIN_ROUTES,
		                                      API_ORGANIZATION_ROUTES, API_ORGANIZATION_MEMBER_ROUTES, API_TEAM_ROUTES, API_ROBOT_ROUTES,
		                                      API_ROBOT_FEDERATION_ROUTES, API_PROTOTYPE_ROUTES, API_PERMISSION_ROUTES, API_REPOSITORY_TOKEN_ROUTES,
		                                      API_APPLICATION_ROUTES, API_APPLICATION_TOKEN_ROUTES, API_APP_TOKEN_ROUTES, API_AUTHORIZATION_ROUTES,
		                                      API_CONVERT_ROUTES, API_DISCOVERY_ROUTES, API_DOCUMENT_ROUTES, API_OPENAPI_ROUTES, SITE_CLIENT_CONFIG_ROUTES,
		                                      API_RECOVERY_ROUTES, API_REPOSITORY_EMAIL_ROUTES, API_TEAM_INVITE_ROUTES, SITE_MAIL_LINK_ROUTES,
		                                      API_SIGNUP_ROUTES, API_STAR_ROUTES, API_USER_ROUTES, API_USER_NOTE_ROUTES,
		                                      API_REPOSITORY_LIST_ROUTES, API_REPOSITORY_ROUTES, API_ABSENT_ROUTES, API_TAG_LIST_ROUTES, API_TAG_ROUTES,
		                                      API_MESSAGE_ROUTES, API_NOTIFICATION_ROUTES, API_QUOTA_ROUTES, API_QUOTA_OTHER_ROUTES,
		                                      API_SERVICE_KEY_ROUTES, API_SUPERUSER_LIST_ROUTES, API_SUPERUSER_ORG_ROUTES,
		                                      API_SUPERUSER_REGISTRY_ROUTES, API_SUPERUSER_USER_ROUTES,
		                                      API_MANIFEST_ROUTES, API_LABEL_ROUTES, API_LOG_ROUTES, API_SEARCH_ROUTES, API_ENTITY_ROUTES,
		                                      API_SUPERUSER_LOG_ROUTES, API_IMMUTABILITY_ROUTES, API_NAMESPACE_NOTIFICATION_ROUTES, API_PRUNE_ROUTES, API_PRUNE_PREVIEW_ROUTES,
		                                      API_UI_NAMESPACE_ROUTES, API_UI_REPOSITORY_ROUTES, API_UI_WHY_ROUTES, SITE_BADGE_ROUTES, API_LOG_EXPORT_ROUTES, SITE_EXPORTED_LOGS_ROUTES, SITE_SHORTHAND_ROUTES,
		                                      NULL };

	return TABLES;
}

void
app_dispatch(struct req *rq)
{
	dispatch(rq);
}
