/* The pool of Redis connections of a process, with its circuit breaker. Internal to the Redis client. */
#ifndef KADE_NET_REDIS_POOL_H
#define KADE_NET_REDIS_POOL_H
#include <stdint.h>

#include "net/redis.h"

struct rdb_conn;
enum rdb_return {
	RDB_KEEP,  /* it works: back into the pool */
	RDB_DROP,  /* of no more use; says nothing about the server */
	RDB_STALE, /* not the master any more: this and all idle ones go */
	RDB_SICK   /* the server did not answer in time: the breaker opens */
};

/* A connection fit for use, opened when there is none. ERR_BUSY: the breaker is open, all are in use until
 * the deadline, or connecting failed. Between take and give nothing may jump: only arena_try(). */
enum err_kind rdb_pool_take(struct ctx *c, struct rdb_pool *pool, int64_t deadline_us,
                            struct rdb_conn **out) MUST_CHECK;
/* fault: the reason for RDB_SICK, else NULL. */
void rdb_pool_give(struct rdb_pool *pool, struct rdb_conn *conn, enum rdb_return how, const char *fault);
const struct rdb_conf *rdb_pool_conf(const struct rdb_pool *pool);
#endif
