/* Commands to Redis, over the pool. The scripts follow the rule that Redis asks for: every key a script
 * touches is in KEYS. */
#include "net/redis.h"

#include <hiredis/hiredis.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/digest.h"
#include "base/vec.h"
#include "net/redis-conn.h"
#include "net/redis-pool.h"

#define CMDS_MAX   1000
#define SHA1_BYTES 20

static void
free_wire(void *p)
{
	redisFreeCommand(p);
}

static enum err_kind
format_one(struct ctx *c, const struct rdb_cmd *cmd, struct buf *wire)
{
	const char **v = ARENA_ARRAY(c->mem, const char *, cmd->n);
	size_t *lens = ARENA_ARRAY(c->mem, size_t, cmd->n);
	char *text = NULL;

	for (size_t i = 0; i < cmd->n; i++) {
		v[i] = cmd->argv[i].p == NULL ? "" : cmd->argv[i].p;
		lens[i] = cmd->argv[i].n;
	}
	const int n = redisFormatCommandArgv(&text, (int)cmd->n, v, lens);
	if (n < 0)
		return err_set(c, ERR_BUSY, "out of memory");
	arena_defer(c->mem, free_wire, text);
	buf_put(wire, (struct str){ text, (size_t)n });
	arena_undefer(c->mem, free_wire, text);
	redisFreeCommand(text);
	return ERR_NONE;
}

static bool
error_is(const struct rdb_reply *r, const char *code)
{
	return r->type == RDB_ERROR && str_starts(r->str, str_of(code));
}

/* One attempt. *again: nothing has been executed and another connection may do better. */
static enum err_kind
attempt(struct ctx *c, struct rdb_pool *pool, struct rdb_exchange *x, int64_t budget_end_us, bool *again)
{
	char fault[RDB_FAULT_BYTES] = "";
	struct rdb_conn *conn;

	*again = false;
	TRY(rdb_pool_take(c, pool, budget_end_us, &conn));
	const int64_t end = clock_mono_us() + rdb_pool_conf(pool)->command_timeout_ms * INT64_C(1000);
	x->deadline_us = end < budget_end_us ? end : budget_end_us;
	x->fault = fault;
	switch (rdb_conn_exchange(conn, x)) {
	case RDB_DONE:
		if (error_is(&x->outs[0], "READONLY ") ||
		    error_is(&x->outs[0], "MASTERDOWN ")) { /* after a failover */
			rdb_pool_give(pool, conn, RDB_STALE, NULL);
			*again = x->n == 1;
			return ERR_NONE;
		}
		rdb_pool_give(pool, conn, RDB_KEEP, NULL);
		return ERR_NONE;
	case RDB_UNSENT:
		*again = true;
		__attribute__((fallthrough));
	case RDB_FAILED:
	case RDB_GARBAGE:
		rdb_pool_give(pool, conn, RDB_DROP, NULL);
		return err_set(c, ERR_UPSTREAM, "Redis: %s", fault);
	case RDB_TIMEOUT:
		rdb_pool_give(pool, conn, RDB_SICK, fault);
		return err_set(c, ERR_UPSTREAM, "Redis: no answer in time");
	}
	return err_set(c, ERR_BUG, "Redis: no such result");
}

enum err_kind
rdb_pipeline(struct ctx *c, struct rdb_pool *pool, size_t n, const struct rdb_cmd cmds[],
             struct rdb_reply outs[])
{
	const int64_t end = clock_mono_us() + rdb_pool_conf(pool)->budget_ms * INT64_C(1000);
	struct buf wire = BUF(c->mem);
	struct rdb_exchange x = { .n = n, .mem = c->mem };
	bool again = false;

	if (n == 0 || n > CMDS_MAX)
		return err_set(c, ERR_BUG, "Redis: %zu commands", n);
	if (c->tx != NULL)
		return err_set(c, ERR_BUG, "Redis command inside a database transaction");
	for (size_t i = 0; i < n; i++)
		TRY(format_one(c, &cmds[i], &wire));
	x.outs = ARENA_ARRAY(c->mem, struct rdb_reply, n);
	x.wire = buf_str(&wire);
	enum err_kind k = attempt(c, pool, &x, end, &again);
	if (again)
		k = attempt(c, pool, &x, end, &again);
	TRY(k);
	memcpy(outs, x.outs, n * sizeof *outs);
	return ERR_NONE;
}

/* An error reply as a failure. The server quotes arguments in a few of its texts, so only the code word is
 * kept. */
static enum err_kind
error_reply(struct ctx *c, struct str command, const struct rdb_reply *r)
{
	struct str code, rest;
	const bool busy = error_is(r, "LOADING ") || error_is(r, "BUSY ") || error_is(r, "TRYAGAIN ");

	str_cut(r->str, ' ', &code, &rest);
	return err_set(c, busy ? ERR_BUSY : ERR_UPSTREAM, "Redis: %.*s: error reply %.*s",
	               (int)(command.n < 30 ? command.n : 30), command.p, (int)(code.n < 30 ? code.n : 30),
	               code.p);
}

enum err_kind
rdb_command(struct ctx *c, struct rdb_pool *pool, size_t n, const struct str argv[], struct rdb_reply *out)
{
	struct rdb_reply r = { 0 };

	TRY(rdb_pipeline(c, pool, 1, &(struct rdb_cmd){ argv, n }, &r));
	if (r.type == RDB_ERROR)
		return error_reply(c, argv[0], &r);
	*out = r;
	return ERR_NONE;
}

static enum err_kind
odd_reply(struct ctx *c, const char *command)
{
	return err_set(c, ERR_UPSTREAM, "Redis: %s: an answer of another type than expected", command);
}

enum err_kind
rdb_ping(struct ctx *c, struct rdb_pool *pool)
{
	struct rdb_reply r = { 0 };

	TRY(rdb_command(c, pool, RDB_ARGV(STR("PING")), &r));
	return r.type == RDB_STATUS && str_eq(r.str, STR("PONG")) ? ERR_NONE : odd_reply(c, "PING");
}

enum err_kind
rdb_find(struct ctx *c, struct rdb_pool *pool, struct str key, struct str *out)
{
	struct rdb_reply r = { 0 };

	TRY(rdb_command(c, pool, RDB_ARGV(STR("GET"), key), &r));
	if (r.type != RDB_STRING && r.type != RDB_NIL)
		return odd_reply(c, "GET");
	*out = r.str;
	return ERR_NONE;
}

static struct str
number(struct ctx *c, int64_t v)
{
	return str_of(str_fmt(c->mem, "%lld", (long long)v));
}

enum err_kind
rdb_set_ex(struct ctx *c, struct rdb_pool *pool, struct str key, struct str value, int64_t ttl_ms)
{
	struct rdb_reply r = { 0 };

	if (ttl_ms <= 0)
		return err_set(c, ERR_BUG, "Redis: SET without a time to live");
	TRY(rdb_command(c, pool, RDB_ARGV(STR("SET"), key, value, STR("PX"), number(c, ttl_ms)), &r));
	return r.type == RDB_STATUS ? ERR_NONE : odd_reply(c, "SET");
}

enum err_kind
rdb_remove(struct ctx *c, struct rdb_pool *pool, struct str key)
{
	struct rdb_reply r = { 0 };

	TRY(rdb_command(c, pool, RDB_ARGV(STR("DEL"), key), &r));
	return r.type == RDB_INTEGER ? ERR_NONE : odd_reply(c, "DEL");
}

enum err_kind
rdb_publish(struct ctx *c, struct rdb_pool *pool, struct str channel, struct str message, int64_t *receivers)
{
	struct rdb_reply r = { 0 };

	TRY(rdb_command(c, pool, RDB_ARGV(STR("PUBLISH"), channel, message), &r));
	if (r.type != RDB_INTEGER)
		return odd_reply(c, "PUBLISH");
	*receivers = r.integer;
	return ERR_NONE;
}

enum err_kind
rdb_eval(struct ctx *c, struct rdb_pool *pool, const struct rdb_call *call, struct rdb_reply *out)
{
	const size_t n = 3 + call->n_keys + call->n_args;
	struct str *argv = ARENA_ARRAY(c->mem, struct str, n);
	struct rdb_reply r = { 0 };
	uint8_t sum[SHA1_BYTES];
	char sha1[2 * SHA1_BYTES + 1];

	if (EVP_Digest(call->script.p, call->script.n, sum, NULL, EVP_sha1(), NULL) != 1)
		return err_set(c, ERR_BUG, "SHA-1 is not available");
	hex_put(sha1, sum, sizeof sum);
	argv[0] = STR("EVALSHA");
	argv[1] = str_of(sha1);
	argv[2] = number(c, (int64_t)call->n_keys);
	for (size_t i = 0; i < call->n_keys; i++)
		argv[3 + i] = call->keys[i];
	for (size_t i = 0; i < call->n_args; i++)
		argv[3 + call->n_keys + i] = call->args[i];
	TRY(rdb_pipeline(c, pool, 1, &(struct rdb_cmd){ argv, n }, &r));
	if (error_is(&r, "NOSCRIPT ")) {
		argv[0] = STR("EVAL");
		argv[1] = call->script;
		TRY(rdb_pipeline(c, pool, 1, &(struct rdb_cmd){ argv, n }, &r));
	}
	if (r.type == RDB_ERROR)
		return error_reply(c, argv[0], &r);
	*out = r;
	return ERR_NONE;
}

static const char INCR_EX[] =
    "local n = redis.call('INCR', KEYS[1])\n"
    "if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end\n"
    "return n\n";

enum err_kind
rdb_incr_ex(struct ctx *c, struct rdb_pool *pool, struct str key, int64_t ttl_ms, int64_t *out)
{
	const struct str ttl = number(c, ttl_ms);
	struct rdb_reply r = { 0 };

	if (ttl_ms <= 0)
		return err_set(c, ERR_BUG, "Redis: INCR without a time to live");
	TRY(rdb_eval(c, pool,
	             &(struct rdb_call){
	                 .script = STR(INCR_EX), .keys = &key, .n_keys = 1, .args = &ttl, .n_args = 1 },
	             &r));
	if (r.type != RDB_INTEGER)
		return odd_reply(c, "INCR");
	*out = r.integer;
	return ERR_NONE;
}

/* KEYS[1] a hash {n: tokens, t: microseconds}; ARGV rate per second, burst, cost. A clock set back adds
 * nothing. */
static const char BUCKET[] =
    "local rate, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "local time = redis.call('TIME')\n"
    "local now = tonumber(time[1]) * 1000000 + tonumber(time[2])\n"
    "local had = redis.call('HMGET', KEYS[1], 'n', 't')\n"
    "local n, t = tonumber(had[1]), tonumber(had[2])\n"
    "if n == nil or t == nil then n, t = burst, now end\n"
    "n = math.min(burst, n + math.max(0, now - t) * rate / 1000000)\n"
    "local ok, wait = 0, 0\n"
    "if n >= cost then ok = 1; n = n - cost else wait = math.ceil((cost - n) * 1000 / rate) end\n"
    "redis.call('HSET', KEYS[1], 'n', string.format('%.17g', n), 't', string.format('%.0f', now))\n"
    "redis.call('PEXPIRE', KEYS[1], math.ceil((burst - n) * 1000 / rate) + 1000)\n"
    "return {ok, math.floor(n), wait}\n";

enum err_kind
rdb_bucket_take(struct ctx *c, struct rdb_pool *pool, struct str key, const struct rdb_bucket *b,
                struct rdb_taken *out)
{
	struct rdb_reply r = { 0 };

	if (!(b->rate_per_s >= 1e-6) || !(b->burst >= b->cost) || !(b->cost > 0) || !isfinite(b->burst) ||
	    !isfinite(b->rate_per_s) || b->burst > 1e9)
		return err_set(c, ERR_BUG, "Redis: not a token bucket");
	const struct str args[] = { str_of(str_fmt(c->mem, "%.17g", b->rate_per_s)),
		                    str_of(str_fmt(c->mem, "%.17g", b->burst)),
		                    str_of(str_fmt(c->mem, "%.17g", b->cost)) };
	TRY(rdb_eval(
	    c, pool,
	    &(struct rdb_call){ .script = STR(BUCKET), .keys = &key, .n_keys = 1, .args = args, .n_args = 3 },
	    &r));
	if (r.type != RDB_ARRAY || r.n != 3 || r.elem[0].type != RDB_INTEGER ||
	    r.elem[1].type != RDB_INTEGER || r.elem[2].type != RDB_INTEGER)
		return odd_reply(c, "token bucket");
	*out = (struct rdb_taken){ .allowed = r.elem[0].integer == 1,
		                   .left = r.elem[1].integer,
		                   .retry_after_ms = r.elem[2].integer };
	return ERR_NONE;
}
