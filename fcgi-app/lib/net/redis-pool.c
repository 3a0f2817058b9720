/* The pool of Redis connections. Under its lock there is only copying; connecting and closing happen outside.
 * Breaker: every failure to connect, and every time-out, closes the pool for a while that doubles from 250 ms
 * to 10 s; then one caller tries while the others are still refused, and its success opens the pool again. */
#include "net/redis-pool.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "net/redis-conn.h"

#define BACKOFF_FIRST_US 250000
#define BACKOFF_LAST_US  10000000

struct idle {
	struct rdb_conn *conn;
	int64_t since_us;
};
struct rdb_pool {
	struct rdb_dial dial; /* read-only after start, with all it points to */
	struct arena *mem;    /* the copied configuration */
	struct tls_client *tls;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t given;
	struct idle idle[RDB_POOL_MAX];
	int n_idle, n_busy;
	unsigned failures; /* in a row */
	bool is_trying;    /* one caller finds out whether the server is back */
	int64_t retry_at_us;
	unsigned first_sentinel;
	uint64_t connects, refused;
	char master[280], failure[RDB_FAULT_BYTES];
};

const struct rdb_conf *
rdb_pool_conf(const struct rdb_pool *pool)
{
	return &pool->dial.conf;
}

static const char *
copy(struct arena *mem, const char *s)
{
	return s == NULL ? NULL : str_dup_c(mem, s);
}

/* conf with every default filled in, all texts in mem. */
static struct rdb_conf
complete(struct arena *mem, const struct rdb_conf *conf)
{
	struct rdb_conf k = *conf;
	struct rdb_node *nodes = ARENA_ARRAY(mem, struct rdb_node, k.n_sentinels);

	for (size_t i = 0; i < k.n_sentinels; i++)
		nodes[i] =
		    (struct rdb_node){ copy(mem, conf->sentinels[i].host),
			               conf->sentinels[i].port != 0 ? conf->sentinels[i].port : 26379 };
	k.sentinels = nodes;
	k.node.host = copy(mem, k.node.host);
	k.node.port = k.node.port != 0 ? k.node.port : 6379;
	k.unix_socket_path = copy(mem, k.unix_socket_path);
	k.username = copy(mem, k.username);
	k.password = copy(mem, k.password);
	k.client_name = copy(mem, k.client_name);
	k.sentinel_master = copy(mem, k.sentinel_master);
	k.sentinel_username = copy(mem, k.sentinel_username);
	k.sentinel_password = copy(mem, k.sentinel_password);
	k.tls = (struct tls_conf){ 0 }; /* used up by tls_client_new() */
	k.connect_timeout_ms = k.connect_timeout_ms > 0 ? k.connect_timeout_ms : 1000;
	k.command_timeout_ms = k.command_timeout_ms > 0 ? k.command_timeout_ms : 2000;
	k.budget_ms = k.budget_ms > 0 ? k.budget_ms : k.connect_timeout_ms + k.command_timeout_ms;
	k.max_connections = k.max_connections > 0 ? k.max_connections : 4;
	k.max_connections = k.max_connections < RDB_POOL_MAX ? k.max_connections : RDB_POOL_MAX;
	k.max_idle_s = k.max_idle_s > 0 ? k.max_idle_s : 60;
	k.max_reply_bytes = k.max_reply_bytes > 0 ? k.max_reply_bytes : 4u << 20;
	k.max_reply_elements = k.max_reply_elements > 0 ? k.max_reply_elements : 65536;
	return k;
}

enum err_kind
rdb_pool_new(struct ctx *c, const struct rdb_conf *conf, struct rdb_pool **out)
{
	struct tls_client *tls = NULL;
	struct rdb_pool *pool;
	pthread_condattr_t attr;

	if (conf->n_sentinels > 0 && conf->sentinel_master == NULL)
		return err_set(c, ERR_BAD_INPUT, "Redis: sentinels without the master's name");
	if (conf->n_sentinels == 0 && conf->unix_socket_path == NULL && conf->node.host == NULL)
		return err_set(c, ERR_BAD_INPUT, "Redis: no host");
	if (conf->ssl || conf->sentinel_ssl)
		TRY(tls_client_new(c, &conf->tls, &tls));
	if ((pool = calloc(1, sizeof *pool)) == NULL) {
		tls_client_free(tls);
		return err_set(c, ERR_BUSY, "out of memory");
	}
	pool->mem = arena_new(0);
	pool->dial = (struct rdb_dial){ .conf = complete(pool->mem, conf), .tls = tls };
	pool->tls = tls;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->given, &attr);
	pthread_condattr_destroy(&attr);
	*out = pool;
	return ERR_NONE;
}

void
rdb_pool_free(struct rdb_pool *pool)
{
	if (pool == NULL)
		return;
	for (int i = 0; i < pool->n_idle; i++)
		rdb_conn_close(pool->idle[i].conn);
	pthread_cond_destroy(&pool->given);
	pthread_mutex_destroy(&pool->lock);
	tls_client_free(pool->tls);
	arena_free(pool->mem);
	free(pool);
}

void
rdb_pool_state(struct rdb_pool *pool, struct rdb_state *out)
{
	const int64_t now = clock_mono_us();

	pthread_mutex_lock(&pool->lock);
	*out = (struct rdb_state){ .idle = pool->n_idle,
		                   .busy = pool->n_busy,
		                   .failures = pool->failures,
		                   .connects = pool->connects,
		                   .refused = pool->refused };
	if (pool->failures > 0 && pool->retry_at_us > now)
		out->retry_in_ms = (pool->retry_at_us - now + 999) / 1000;
	memcpy(out->master, pool->master, sizeof out->master);
	memcpy(out->failure, pool->failure, sizeof out->failure);
	pthread_mutex_unlock(&pool->lock);
}

/* The idle connections, moved to a list of the caller's, which closes them. The lock is held. */
static int
take_idle(struct rdb_pool *pool, struct idle list[RDB_POOL_MAX])
{
	const int n = pool->n_idle;

	memcpy(list, pool->idle, (size_t)n * sizeof *list);
	pool->n_idle = 0;
	return n;
}

/* The lock is held. */
static void
note_failure(struct rdb_pool *pool, const char *fault, int64_t now, uint8_t jitter)
{
	int64_t wait = BACKOFF_FIRST_US;

	for (unsigned i = 0; i < pool->failures && wait < BACKOFF_LAST_US; i++)
		wait *= 2;
	wait = wait < BACKOFF_LAST_US ? wait : BACKOFF_LAST_US;
	pool->retry_at_us =
	    now + wait - wait * jitter / 1024; /* up to a quarter less: hosts do not come back in step */
	pool->failures++;
	pool->is_trying = false;
	snprintf(pool->failure, sizeof pool->failure, "%s", fault);
}

void
rdb_pool_give(struct rdb_pool *pool, struct rdb_conn *conn, enum rdb_return how, const char *fault)
{
	struct idle close_list[RDB_POOL_MAX];
	int n_close = 0;
	uint8_t jitter;
	const int64_t now = clock_mono_us();

	random_bytes(&jitter, 1);
	pthread_mutex_lock(&pool->lock);
	pool->n_busy--;
	if (how == RDB_KEEP) {
		pool->failures = 0;
		pool->is_trying = false;
		pool->idle[pool->n_idle++] = (struct idle){ conn, now };
		conn = NULL;
	} else if (how != RDB_DROP) {
		n_close = take_idle(pool, close_list);
	}
	if (how == RDB_SICK)
		note_failure(pool, fault, now, jitter);
	pthread_cond_signal(&pool->given);
	pthread_mutex_unlock(&pool->lock);
	rdb_conn_close(conn);
	for (int i = 0; i < n_close; i++)
		rdb_conn_close(close_list[i].conn);
}

/* What the pool has to offer now; the lock is held. */
enum offer { OFFER_IDLE, OFFER_OPEN, OFFER_WAIT, OFFER_REFUSE };
static enum offer
look(struct rdb_pool *pool, int64_t now, struct idle *out)
{
	if (pool->n_idle > 0) {
		*out = pool->idle[--pool->n_idle];
		pool->n_busy++;
		return OFFER_IDLE;
	}
	if (pool->failures > 0 && (pool->is_trying || pool->retry_at_us > now)) {
		pool->refused++;
		return OFFER_REFUSE;
	}
	if (pool->n_busy >= pool->dial.conf.max_connections)
		return OFFER_WAIT;
	pool->n_busy++;
	pool->is_trying = pool->failures > 0;
	return OFFER_OPEN;
}

static enum err_kind
open_one(struct ctx *c, struct rdb_pool *pool, int64_t deadline_us, unsigned sentinel, struct rdb_conn **out)
{
	const int64_t limit = clock_mono_us() + pool->dial.conf.connect_timeout_ms * INT64_C(1000);
	char fault[RDB_FAULT_BYTES];
	struct rdb_conn *conn =
	    rdb_conn_open(&pool->dial, c->mem, &sentinel, deadline_us < limit ? deadline_us : limit, fault);

	if (conn == NULL) {
		rdb_pool_give(pool, NULL, RDB_SICK, fault);
		return err_set(c, ERR_BUSY, "Redis: %s", fault);
	}
	pthread_mutex_lock(&pool->lock);
	pool->connects++;
	pool->failures = 0;
	pool->is_trying = false;
	pool->first_sentinel = sentinel;
	snprintf(pool->master, sizeof pool->master, "%s", rdb_conn_peer(conn));
	pthread_mutex_unlock(&pool->lock);
	*out = conn;
	return ERR_NONE;
}

enum err_kind
rdb_pool_take(struct ctx *c, struct rdb_pool *pool, int64_t deadline_us, struct rdb_conn **out)
{
	const struct timespec until = { .tv_sec = deadline_us / 1000000,
		                        .tv_nsec = deadline_us % 1000000 * 1000 };
	const int64_t max_idle_us = pool->dial.conf.max_idle_s * INT64_C(1000000);
	char failure[RDB_FAULT_BYTES] = "";

	for (;;) {
		struct idle idle;
		int waited = 0;
		pthread_mutex_lock(&pool->lock);
		enum offer offer = look(pool, clock_mono_us(), &idle);
		while (offer == OFFER_WAIT && waited == 0) {
			waited = pthread_cond_timedwait(&pool->given, &pool->lock, &until);
			offer = look(pool, clock_mono_us(), &idle);
		}
		const unsigned sentinel = pool->first_sentinel;
		memcpy(failure, pool->failure, sizeof failure);
		pthread_mutex_unlock(&pool->lock);
		switch (offer) {
		case OFFER_REFUSE:
			return err_set(c, ERR_BUSY, "Redis is away: %s", failure);
		case OFFER_WAIT:
			return err_set(c, ERR_BUSY, "Redis: all %d connections are in use",
			               pool->dial.conf.max_connections);
		case OFFER_OPEN:
			return open_one(c, pool, deadline_us, sentinel, out);
		case OFFER_IDLE:
			break;
		}
		if (clock_mono_us() - idle.since_us < max_idle_us && rdb_conn_is_quiet(idle.conn)) {
			*out = idle.conn;
			return ERR_NONE;
		}
		rdb_pool_give(pool, idle.conn, RDB_DROP, NULL);
	}
}
