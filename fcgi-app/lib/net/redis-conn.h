/* One connection to a Redis server. Internal to the Redis client (redis.c, redis-pool.c). */
#ifndef KADE_NET_REDIS_CONN_H
#define KADE_NET_REDIS_CONN_H
#include <stdint.h>

#include "net/redis.h"

struct arena;
struct rdb_conn;
struct rdb_dial {             /* how to connect; read-only after start */
	struct rdb_conf conf; /* complete: no zero stands for a default */
	const struct tls_client *tls;
};
enum rdb_result {
	RDB_DONE,
	RDB_UNSENT, /* the connection was dead before the server could have got a command */
	RDB_FAILED, /* sent, no whole answer */
	RDB_TIMEOUT,
	RDB_GARBAGE /* not the protocol, over a limit */
};
struct rdb_exchange {
	struct str wire; /* n commands */
	size_t n;
	struct rdb_reply *outs; /* n answers */
	struct arena *mem;      /* where they live */
	int64_t deadline_us;
	char *fault; /* RDB_FAULT_BYTES */
};
#define RDB_FAULT_BYTES 240

/* Connects, logs in, selects the database; with sentinels, finds the master first and verifies that it is
 * one. All replies of this go into mem. *first_sentinel is where to begin and becomes the one that answered.
 * NULL: fault says why. */
struct rdb_conn *rdb_conn_open(const struct rdb_dial *d, struct arena *mem, unsigned *first_sentinel,
                               int64_t deadline_us, char *fault);
void rdb_conn_close(struct rdb_conn *conn); /* NULL is allowed */
bool rdb_conn_is_quiet(struct rdb_conn *conn);
const char *rdb_conn_peer(const struct rdb_conn *conn); /* "host:port" or the socket's path */
/* On anything but RDB_DONE the connection must be closed; x->fault then says why. */
enum rdb_result rdb_conn_exchange(struct rdb_conn *conn, const struct rdb_exchange *x);
#endif
