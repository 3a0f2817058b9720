/* The gate. A slot is one word: process id 22 bits | time of entry 42 bits (milliseconds of the monotonic
 * clock, which all processes of a host share), 0 = free. Who waits sleeps on a futex that each leaver moves,
 * and looks every 100 ms whether a holder has died. A process id that was given out anew only makes a dead
 * slot last until its lease ends. */
#include "auth/gate.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ctx.h"

#define TIME_BITS 42
#define TIME_MASK ((1ULL << TIME_BITS) - 1)
#define LOOK_MS   100

struct gate {
	_Atomic uint32_t left; /* moves with every leaver: the futex */
	uint32_t unused[15];
	_Atomic uint64_t slots[GATE_SLOTS_MAX];
};

size_t
gate_bytes(void)
{
	return sizeof(struct gate);
}

struct gate *
gate_init(void *mem)
{
	return mem; /* zero means free */
}

int
gate_slots_default(void)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : cpus > 2 * GATE_SLOTS_MAX ? GATE_SLOTS_MAX : (int)((cpus + 1) / 2);
}

static int64_t
now_ms(void)
{
	return clock_mono_us() / 1000;
}

/* Free, held too long (or since before a reboot), or held by a process that is gone. */
static bool
is_takeable(uint64_t word, int64_t now)
{
	const int64_t age = now - (int64_t)(word & TIME_MASK);

	if (word == 0 || age < -1000 || age > GATE_LEASE_MS)
		return true;
	return kill((pid_t)(word >> TIME_BITS), 0) != 0 && errno == ESRCH;
}

static bool
try_slots(struct gate *g, int n_slots, struct gate_pass *pass)
{
	const int64_t now = now_ms();
	const uint64_t mine = (uint64_t)getpid() << TIME_BITS | ((uint64_t)now & TIME_MASK);

	for (int i = 0; i < n_slots; i++) {
		uint64_t was = atomic_load(&g->slots[i]);
		if (is_takeable(was, now) && atomic_compare_exchange_strong(&g->slots[i], &was, mine)) {
			*pass = (struct gate_pass){ .slot = i, .word = mine };
			return true;
		}
	}
	return false;
}

enum err_kind
gate_enter(struct ctx *c, struct gate *g, int n_slots, int64_t wait_ms, struct gate_pass *out)
{
	const int64_t until = now_ms() + wait_ms;

	if (n_slots > GATE_SLOTS_MAX)
		n_slots = GATE_SLOTS_MAX;
	for (;;) {
		const uint32_t seen =
		    atomic_load(&g->left); /* before the look: a leaver after it ends the sleep at once */
		if (try_slots(g, n_slots, out))
			return ERR_NONE;
		const int64_t rest = until - now_ms();
		if (rest <= 0) {
			err_set(c, ERR_RATE, "no free place for a password check within %lld ms",
			        (long long)wait_ms);
			return err_retry_after(c, 2);
		}
		const int64_t nap = rest < LOOK_MS ? rest : LOOK_MS;
		const struct timespec ts = { .tv_nsec = (long)nap * 1000000 };
		syscall(SYS_futex, &g->left, FUTEX_WAIT, seen, &ts, NULL, 0);
	}
}

void
gate_leave(struct gate *g, const struct gate_pass *pass)
{
	uint64_t was = pass->word; /* something else when the lease had run out: then somebody else is in */

	atomic_compare_exchange_strong(&g->slots[pass->slot], &was, 0);
	atomic_fetch_add(&g->left, 1);
	syscall(SYS_futex, &g->left, FUTEX_WAKE, 1, NULL, NULL, 0);
}
