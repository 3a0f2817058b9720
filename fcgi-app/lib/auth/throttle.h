/* Login throttling. Each wrong secret makes the next try wait: 0.5 * (2^n - 1) seconds after n failures
 * (Quay's back-off), here with a ceiling, and counted per name and network, so that nobody can lock out
 * somebody else. Two wider counters stop guessing that spreads: one name from many networks, and one network
 * with many names. They let twenty failures pass first, forget one a minute, and never touch a network from
 * which that name has signed in before. Names that do not exist count like others. State: one table in memory
 * shared by the host's processes (shared-table.h). */
#ifndef KADE_AUTH_THROTTLE_H
#define KADE_AUTH_THROTTLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/network.h"
#include "base/str.h"

struct throttle;

#define THROTTLE_MAX_WAIT_MS 900000

size_t throttle_bytes(void);
/* mem: throttle_bytes() bytes, 64-byte aligned, shared, zeroed when new. Idempotent, from any number of
 * processes. */
struct throttle *throttle_init(void *mem);

struct throttle_who {
	struct str name; /* as typed; case is folded here */
	struct network network;
	bool is_known; /* the name has signed in from this network before */
};
/* Milliseconds until the next try may be looked at; 0 = now. Nothing is counted. now_ms: wall clock. */
int64_t throttle_wait_ms(struct throttle *t, const struct throttle_who *who, int64_t now_ms);
/* A secret was wrong. Only for tries that throttle_wait_ms() let through. */
void throttle_failed(struct throttle *t, const struct throttle_who *who, int64_t now_ms);
/* A secret was right: forgets the failures of this name from this network (not the wider counters: one good
 * account must not wash away the guessing of others). */
void throttle_succeeded(struct throttle *t, const struct throttle_who *who);
#endif
