/* Answers of a Redis server: hiredis' reader builds our replies in an arena, within limits. Internal to the
 * Redis client and to its fuzz target. */
#ifndef KADE_NET_REDIS_REPLY_H
#define KADE_NET_REDIS_REPLY_H
#include <stdbool.h>
#include <stddef.h>

#include "net/redis.h"

struct arena;
struct rdb_reader;

/* Taken by the caller; NULL: out of memory. Limits are per answer. */
struct rdb_reader *rdb_reader_new(size_t max_bytes, size_t max_elements);
void rdb_reader_free(struct rdb_reader *r);
/* Where the replies of the next answers live. Must be called before a reader is fed, with an arena that
 * outlives them. */
void rdb_reader_target(struct rdb_reader *r, struct arena *mem);
/* Bytes from the server. NULL, or a constant that says what is wrong: the connection is then of no more use.
 */
const char *rdb_reader_feed(struct rdb_reader *r, const char *p, size_t n);
/* The next whole answer: *ready and *out, or *ready false when bytes are missing. NULL, or what is wrong. */
const char *rdb_reader_next(struct rdb_reader *r, struct rdb_reply *out, bool *ready);
/* True when nothing is left over: the answers matched the questions. */
bool rdb_reader_is_empty(const struct rdb_reader *r);
#endif
