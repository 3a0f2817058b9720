/* A gate that lets only so many callers of this host in at once: bcrypt costs a quarter of a second of CPU,
 * and a flood of logins must not take the processors from pulls. The slots are words in memory shared by all
 * processes; a slot whose holder was killed is taken over by the next who waits. */
#ifndef KADE_AUTH_GATE_H
#define KADE_AUTH_GATE_H
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ctx;
struct gate;

#define GATE_SLOTS_MAX 64
#define GATE_LEASE_MS  60000 /* a slot held longer than this counts as lost */

struct gate_pass {
	int slot;
	uint64_t word; /* what stands in the slot while it is held */
};

size_t gate_bytes(void);
/* mem: gate_bytes() bytes, 64-byte aligned, shared, zeroed when new. Idempotent. */
struct gate *gate_init(void *mem);
/* Slots for bcrypt: half the processors of this machine, rounded up. */
int gate_slots_default(void);

/* Takes one of the first n_slots slots, waiting up to wait_ms. *out is what gate_leave() wants. ERR_RATE with
 * Retry-After when none came free. */
enum err_kind gate_enter(struct ctx *c, struct gate *g, int n_slots, int64_t wait_ms,
                         struct gate_pass *out) MUST_CHECK;
void gate_leave(struct gate *g, const struct gate_pass *pass);
#endif
