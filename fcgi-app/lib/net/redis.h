/* Redis: what is live (build logs, user events, caches, shared rate counters). Everything here is optional:
 * losing Redis loses no data and stops no push, pull or job, so callers treat each failure as "not there". An
 * absent or hanging server costs nothing per request: after a failure the pool refuses at once until the next
 * attempt is due.
 *
 * Failures: ERR_BUSY = nothing was sent (no connection to be had now); ERR_UPSTREAM = an answer did not come
 * or was an error, the command may have been executed. c->err.text says why, never with a secret or a value.
 * No call lasts longer than the pool's budget. The protocol is RESP2. */
#ifndef KADE_NET_REDIS_H
#define KADE_NET_REDIS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "net/tls.h"

struct ctx;
struct rdb_pool;
struct rdb_node {
	const char *host;
	uint16_t port; /* 0: 6379, of a sentinel 26379 */
};
struct rdb_conf {                     /* zero bytes are the defaults */
	struct rdb_node node;         /* ignored with a Unix socket or sentinels */
	const char *unix_socket_path; /* NULL: TCP */
	const char *username;         /* NULL: the default user */
	const char *password;         /* NULL: none */
	const char *client_name;      /* shown by CLIENT LIST; NULL: none */
	int db;
	bool ssl;
	struct tls_conf tls;
	const struct rdb_node *sentinels;
	size_t n_sentinels; /* > 0: ask these for the master */
	const char *sentinel_master;
	const char *sentinel_username, *sentinel_password;
	bool sentinel_ssl;         /* with the options of tls */
	int connect_timeout_ms;    /* all of it: look-up, sentinels, TLS, log-in; 0: 1000 */
	int command_timeout_ms;    /* from sending to the last byte of the answer; 0: 2000 */
	int budget_ms;             /* one call, waiting and a second attempt included; 0: the sum of both */
	int max_connections;       /* per process; 0: 4, at most RDB_POOL_MAX */
	int max_idle_s;            /* a connection idle for longer is opened anew; 0: 60 */
	size_t max_reply_bytes;    /* 0: 4 MiB */
	size_t max_reply_elements; /* 0: 65,536 */
};
#define RDB_POOL_MAX 32

/* A pool for the process; conf is copied, no connection is made yet. ERR_BAD_INPUT for options that cannot be
 * (files of the TLS part that cannot be read, no host). Taken by the caller, normally never freed. */
enum err_kind rdb_pool_new(struct ctx *c, const struct rdb_conf *conf, struct rdb_pool **out) MUST_CHECK;
void rdb_pool_free(struct rdb_pool *pool); /* nobody may use it any more */

struct rdb_state {
	int idle, busy;      /* connections */
	unsigned failures;   /* in a row; 0: Redis is there, as far as known */
	int64_t retry_in_ms; /* until the next attempt; 0: now */
	uint64_t connects;   /* since start */
	uint64_t refused;    /* calls refused without an attempt */
	char master[280];    /* "host:port" last connected to */
	char failure[240];   /* the last one */
};
/* For /health and /metrics. */
void rdb_pool_state(struct rdb_pool *pool, struct rdb_state *out);

enum rdb_type { RDB_NIL, RDB_INTEGER, RDB_STRING, RDB_STATUS, RDB_ERROR, RDB_ARRAY };
struct rdb_reply {
	enum rdb_type type;
	int64_t integer;
	struct str str;               /* string, status, error; also NUL-terminated */
	const struct rdb_reply *elem; /* of an array */
	size_t n;
};
struct rdb_cmd {
	const struct str *argv;
	size_t n;
};
/* One command; argv[0] is its name. *out given. An error reply is ERR_UPSTREAM (ERR_BUSY while the server
 * loads). */
enum err_kind rdb_command(struct ctx *c, struct rdb_pool *pool, size_t n, const struct str argv[],
                          struct rdb_reply *out) MUST_CHECK;
/* n commands in one round trip on one connection, at most 1,000; outs has n items. An error reply stands in
 * its place in outs and is no failure of the call. MULTI and EXEC may be among them. */
enum err_kind rdb_pipeline(struct ctx *c, struct rdb_pool *pool, size_t n, const struct rdb_cmd cmds[],
                           struct rdb_reply outs[]) MUST_CHECK;
#define RDB_ARGV(...)                                                                                        \
	(sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str)), (struct str[])                         \
	{                                                                                                    \
		__VA_ARGS__                                                                                  \
	}

enum err_kind rdb_ping(struct ctx *c, struct rdb_pool *pool) MUST_CHECK;
/* out->p NULL when there is no such key. */
enum err_kind rdb_find(struct ctx *c, struct rdb_pool *pool, struct str key, struct str *out) MUST_CHECK;
enum err_kind rdb_set_ex(struct ctx *c, struct rdb_pool *pool, struct str key, struct str value,
                         int64_t ttl_ms) MUST_CHECK;
enum err_kind rdb_remove(struct ctx *c, struct rdb_pool *pool, struct str key) MUST_CHECK;
/* Adds one; the first increment starts the time to live, later ones do not move it. */
enum err_kind rdb_incr_ex(struct ctx *c, struct rdb_pool *pool, struct str key, int64_t ttl_ms,
                          int64_t *out) MUST_CHECK;
enum err_kind rdb_publish(struct ctx *c, struct rdb_pool *pool, struct str channel, struct str message,
                          int64_t *receivers) MUST_CHECK;

/* A Lua script, sent by its SHA-1 and in full only when the server does not know it. */
struct rdb_call {
	struct str script;
	const struct str *keys, *args;
	size_t n_keys, n_args;
};
enum err_kind rdb_eval(struct ctx *c, struct rdb_pool *pool, const struct rdb_call *call,
                       struct rdb_reply *out) MUST_CHECK;

/* A token bucket that all hosts share, on the clock of the Redis server. The key expires once the bucket is
 * full again. */
struct rdb_bucket {
	double rate_per_s; /* > 0 */
	double burst;      /* size of the bucket, >= cost */
	double cost;       /* of this call */
};
struct rdb_taken {
	bool allowed;
	int64_t left;           /* whole tokens */
	int64_t retry_after_ms; /* 0 when allowed */
};
enum err_kind rdb_bucket_take(struct ctx *c, struct rdb_pool *pool, struct str key,
                              const struct rdb_bucket *b, struct rdb_taken *out) MUST_CHECK;
#endif
