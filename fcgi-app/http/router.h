/* All route tables compiled into one tree of path segments at start. Matching allocates nothing but what the captures of
 * the row found need. */
#ifndef KADE_HTTP_ROUTER_H
#define KADE_HTTP_ROUTER_H
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct conf;
struct counters;
struct req;
struct route;
struct router;
struct uri;

/* tables: NULL-terminated list of tables, each ended by a row whose id is NULL. Taken, process lifetime. NULL with the
 * reason in why[why_bytes]: two rows for one path and method, an unknown converter, a path that is not one. */
struct router *router_build(const struct route *const *tables, char *why, size_t why_bytes);
/* Gives every row its block of counters. Once, at start, before the first thread. */
void router_count(struct router *r, struct counters *cs);
/* Finds the row for rq->method and the split path: rq->route, route_index, captures, proto and allowed. Rows whose feature
 * is off do not exist. The order of preference at each segment: literal text, <int:>, <ref:>, <name:>, then <repopath:>
 * and <repo:>, which take as many segments as they can and give back what the tail of a row needs. */
void router_match(const struct router *r, struct req *rq, const struct uri *uri);
/* False when a flag of the configuration switches the row off: its path does not exist. */
bool route_is_on(const struct conf *cf, const struct route *rt);
/* "GET, HEAD, OPTIONS" from HTTP_* bits. */
void router_put_methods(struct buf *b, unsigned methods);
void router_free(struct router *r); /* for tests */
/* Walks all rows in the order of the tables: NULL at the end. For discovery, docs and tests. */
const struct route *router_row(const struct router *r, size_t i);
#endif
