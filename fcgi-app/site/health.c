/* Health and metrics: what load balancers and monitoring ask. Shapes and service names are Quay's. */
#include <sys/statvfs.h>

#include "app.h"
#include "auth/keyring.h"
#include "auth/login.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/js.h"
#include "conf/conf.h"
#include "http/client-addr.h"
#include "http/http-conf.h"
#include "http/metrics.h"
#include "http/response.h"
#include "net/redis.h"
#include "site/routes.h"
#include "store/store.h"

#define STORES_EVERY_US 10000000

static bool
database_answers(struct req *rq)
{
	const bool ok = db_exec(rq->c, STMT_CLOCK, DB_NO_ARGS, NULL) == ERR_NONE;

	err_clear(rq->c);
	return ok;
}

/* The own signing key is in the table, approved and unexpired; true when the database cannot be asked. */
static bool
key_is_alive(struct req *rq)
{
	const struct db_result *r;
	bool                    ok = true;

	/* A host that has given no token for two hours would find its key expired: the question itself prolongs its life. */
	if (!rq->c->conf->is_readonly && keyring_announce(rq->c, rq->app->login->keys) != ERR_NONE) {
		err_clear(rq->c);
		return true;
	}
	if (db_exec(rq->c, STMT_SERVICE_KEY_STATE, DB_ARGS(db_str(jose_key_id(keyring_own(rq->app->login->keys)))), &r) == ERR_NONE)
		ok = r->rows > 0 && db_get_bool(r, 0, SERVICE_KEY_STATE_IS_APPROVED) && !db_get_bool(r, 0, SERVICE_KEY_STATE_IS_EXPIRED);
	err_clear(rq->c);
	return ok;
}

static bool
has_space(const char *dir, double least)
{
	struct statvfs v;

	return statvfs(dir, &v) != 0 || v.f_blocks == 0 || (double)v.f_bavail / (double)v.f_blocks >= least;
}

static bool
disks_have_space(struct req *rq, double least)
{
	return has_space(rq->app->settings->state_dir, least) && has_space(rq->c->conf->kade_spool_dir, least);
}

static bool
try_stores(struct req *rq, bool preferred_only)
{
	struct store *preferred = store_preferred(rq->app->stores);
	struct buf    warnings = BUF(rq->c->mem);
	bool          ok = true;

	for (size_t i = 0; i < store_count(rq->app->stores); i++) {
		struct store *s = store_at(rq->app->stores, i);
		if ((preferred_only && s != preferred) || store_validate(rq->c, s, &warnings) == ERR_NONE)
			continue;
		err_clear(rq->c);
		ok = ok && s != preferred;
	}
	return ok;
}

/* Every location is tried; only a preferred one that fails counts. A try writes and syncs: anybody may ask, so it is done once
 * in ten seconds and process, and the answer is kept between. */
static bool
stores_answer(struct req *rq, bool preferred_only)
{
	struct app   *app = rq->app;
	const int64_t now_us = clock_mono_us(), last_us = atomic_load(&app->stores_checked_us);

	if (last_us == 0 || now_us - last_us > STORES_EVERY_US) {
		atomic_store(&app->stores_checked_us, now_us);
		atomic_store(&app->stores_ok, try_stores(rq, preferred_only));
	}
	return atomic_load(&app->stores_ok);
}

static bool
redis_answers(struct req *rq)
{
	const bool ok = rq->app->redis == NULL || rdb_ping(rq->c, rq->app->redis) == ERR_NONE;

	err_clear(rq->c);
	return ok;
}

struct check {
	const char *name;
	bool        ok;
};

static enum err_kind
answer(struct req *rq, const struct check *v, size_t n)
{
	bool    all = true;
	json_t *root, *data, *services;

	for (size_t i = 0; i < n; i++) {
		all = all && v[i].ok;
		if (!v[i].ok)
			err_set(rq->c, ERR_UPSTREAM, "health: %s fails", v[i].name); /* for the log line of a 503 */
	}
	root = res_json(rq, all ? 200 : 503);
	data = jo_object(root, "data");
	services = jo_object(data, "services");
	for (size_t i = 0; i < n; i++)
		jo_bool(services, v[i].name, v[i].ok);
	jo_i64(root, "status_code", all ? 200 : 503);
	res_header(rq, "Cache-Control", STR("no-cache, no-store, must-revalidate"));
	return ERR_NONE;
}

static enum err_kind
site_health_instance(struct req *rq)
{
	const bool db = database_answers(rq);
	/* This answer is itself the proof that registry and web processes serve: the names stay for monitoring that reads them. */
	struct check v[7] = { { "registry_gunicorn", true },        { "web_gunicorn", true },
		              { "service_key", key_is_alive(rq) },  { "disk_space", disks_have_space(rq, rq->c->conf->diskspace_health_threshold) },
		              { "database", db },                   { "auth", db } };
	size_t       n = 6;

	if (rq->c->conf->health_checker_instance_check_preferred_storage)
		v[n++] = (struct check){ "preferred_storage", stores_answer(rq, true) };
	return answer(rq, v, n);
}

static enum err_kind
site_health_endtoend(struct req *rq)
{
	const bool         db = database_answers(rq);
	const struct check v[] = { { "database", db }, { "redis", redis_answers(rq) }, { "storage", stores_answer(rq, false) }, { "auth", db } };

	return answer(rq, v, sizeof v / sizeof *v);
}

static enum err_kind
site_health_warning(struct req *rq)
{
	const struct check v[] = { { "disk_space_warning", disks_have_space(rq, rq->c->conf->diskspace_health_warning_threshold) } };

	return answer(rq, v, 1);
}

static enum err_kind
site_internal_ping(struct req *rq)
{
	res_body(rq, 200, "text/plain", STR("true"));
	return ERR_NONE;
}

static enum err_kind
site_metrics(struct req *rq)
{
	struct buf b = BUF(rq->c->mem);

	if (!cidr_has(rq->http->metrics, rq->http->n_metrics, rq->remote_addr))
		return err_set(rq->c, ERR_NOT_FOUND, "metrics are not for this address");
	metrics_put(&b, rq->c->counters);
	res_body(rq, 200, "text/plain; version=0.0.4", buf_str(&b));
	return ERR_NONE;
}

#define SITE_GET(i, p, r, d)                                                                                           \
	{ .id = i, .methods = HTTP_GET | HTTP_HEAD, .path = p, .proto = PROTO_SITE, .auth = AUTH_NONE, .perm = PERM_NONE, .run = r, .doc = d }
const struct route SITE_HEALTH_ROUTES[] = {
	SITE_GET("health", "/health", site_health_instance, "As /health/instance."),
	SITE_GET("healthInstance", "/health/instance", site_health_instance, "Whether this host can serve."),
	SITE_GET("healthEndToEnd", "/health/endtoend", site_health_endtoend, "Whether database, Redis and storage answer."),
	SITE_GET("status", "/status", site_health_endtoend, "As /health/endtoend."),
	SITE_GET("healthWarning", "/health/warning", site_health_warning, "Whether disks fill up."),
	SITE_GET("internalPing", "/_internal_ping", site_internal_ping, "Whether a process answers."),
	{ .id = "metrics", .methods = HTTP_GET | HTTP_HEAD, .path = "/metrics", .proto = PROTO_SITE, .auth = AUTH_NONE, .perm = PERM_NONE,
	  .run = site_metrics, .mem_bytes = 4 << 20, .doc = "Counters in the exposition format of Prometheus." },
	{ .id = NULL }
};
