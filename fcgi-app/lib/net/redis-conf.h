/* From a Redis block of the configuration to the options of the client: for every program that opens a pool. */
#ifndef KADE_NET_REDIS_CONF_H
#define KADE_NET_REDIS_CONF_H
struct conf_redis;
struct ctx;
struct rdb_conf;

/* *out refers to r and to c->mem; rdb_pool_new() copies all of it. Members that a block does not have stay zero. */
void rdb_conf_from(struct ctx *c, const struct conf_redis *r, struct rdb_conf *out);
#endif
