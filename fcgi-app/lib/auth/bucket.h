/* Token buckets: how many requests of a class an identity, else a network, may send. A bucket holds `burst`
 * tokens and gains one per `interval_us`. State: one table in memory shared by the host's processes
 * (shared-table.h). */
#ifndef KADE_AUTH_BUCKET_H
#define KADE_AUTH_BUCKET_H
#include <stddef.h>
#include <stdint.h>

#include "auth/network.h"
#include "base/str.h"

struct buckets;
struct bucket_rule {
	uint32_t interval_us; /* per token; 0 = no limit */
	uint32_t burst;       /* at least 1; interval_us * burst is cut at one hour */
};

size_t bucket_bytes(void);
/* mem: bucket_bytes() bytes, 64-byte aligned, shared, zeroed when new. Idempotent, from any number of
 * processes. */
struct buckets *bucket_init(void *mem);
/* Takes one token of class (its number, or any other text of the caller's) from the bucket of who (an account
 * uuid or network_key()). 0 = taken, else the microseconds until there is one; nothing is taken then. now_us:
 * the host's monotonic clock, so that all processes mean the same. */
int64_t bucket_take(struct buckets *b, struct str class, struct str who, const struct bucket_rule *rule,
                    int64_t now_us);
#endif
