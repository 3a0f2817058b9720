/* The boundary between the processes (process.c, worker.c) and what they serve. app.c fills it in for kade.fcgi; the tests
 * of the process model bring their own. */
#ifndef KADE_APP_H
#define KADE_APP_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/http-conf.h"

struct arena;
struct buckets;
struct conf;
struct ctx;
struct counters;
struct db_pool;
struct log;
struct login_env;
struct options;
struct page_key;
struct pull_log;
struct rdb_pool;
struct req;
struct route;
struct store_set;

/* One configuration, loaded and checked in the parent, read-only afterwards; a reload makes another. */
struct app_settings {
	struct arena *mem; /* holds all of it, this struct included */
	const struct conf *conf;
	struct http_conf http;
	const char *state_dir;  /* counters and the like: KADE.STATE_DIR */
	const char *log;        /* target of log_open() */
	const char *access_log; /* target; NULL = the same as log */
	int log_level;
};
/* What a worker holds: made after the fork, before the first thread. Everything in it is shared by the threads. */
struct app {
	const struct app_settings *settings;
	const struct conf *conf;
	const struct http_conf *http;
	struct db_pool *db;
	struct counters *counters;
	struct log *log;
	struct log *access;
	struct store_set *stores;
	struct login_env *login;     /* secrets, keys, throttles: auth/login.h */
	struct buckets *buckets;     /* rate limits of this host */
	const struct page_key *page_key;
	struct pull_log *pulls;      /* the log rows of pulls; its thread: worker.c */
	struct rdb_pool *redis;      /* USER_EVENTS_REDIS */
	_Atomic int schema;          /* 0 = not asked yet, 1 = fits this program, 2 = did not when last asked */
	_Atomic int64_t schema_asked_us; /* monotonic */
	_Atomic int64_t stores_checked_us; /* monotonic; when /health/endtoend last wrote to the stores */
	_Atomic bool stores_ok;
	_Atomic int64_t woke_us; /* monotonic; when a job was last told of new work */
};

/* Loads and checks the file. False with a sentence for the operator in why; no secret in it. Called in the parent, at start
 * and at each reload, and by --check. *out taken: app_unload(). */
bool app_load(const char *path, struct app_settings **out, char *why, size_t why_bytes);
void app_unload(struct app_settings *s); /* NULL is allowed */
/* Opens what the worker needs: pools, stores, keys. settings, conf, http, counters, log and access are set already. Nothing
 * here may wait for a service that is away: a registry whose database restarts must come up and answer 503. */
bool app_open(struct app *app, const struct options *o, char *why, size_t why_bytes);
/* No request comes any more, or the process ends at once: writes what waits to be written, at most two seconds. False: not all;
 * then app_close() must not be called. */
bool app_finish(struct app *app);
/* The last call of a worker. */
void app_close(struct app *app);
/* The tables of router_build(), NULL-terminated. */
const struct route *const *app_routes(void);
/* ERR_NONE when the database's schema is one that this program can work with, or cannot be asked now; else ERR_BUSY. Asked
 * until it fits, at most every five seconds. */
enum err_kind app_schema_fits(struct app *app, struct ctx *c);
/* What the loop calls for a request with a row. */
void app_dispatch(struct req *rq);
#endif
