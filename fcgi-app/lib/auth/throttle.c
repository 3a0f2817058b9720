/* Login throttling over the shared word table. A word: tag 23 bits | count 6 bits | last failure 35 bits in
 * units of 64 ms since 2020. Serves every login backend and secret kind, on /v2/auth, sign-in and Basic
 * alike. */
#include "auth/throttle.h"

#include "auth/shared-table.h"

#define SETS       8192 /* x 8 words: 65,536 counters, 512 KiB */
#define LAYOUT     0x6b74687200000001ULL
#define EPOCH_MS   1577836800000LL
#define UNIT_SHIFT 6
#define TIME_BITS  35
#define COUNT_BITS 6
#define COUNT_MAX  63
#define TIME_MASK  ((1ULL << TIME_BITS) - 1)

struct throttle {
	struct shared_table table;
};
struct rule {
	const char *label;
	unsigned free;     /* failures that cost nothing */
	int64_t cap_ms;    /* longest wait */
	int64_t forget_ms; /* one failure less per this time */
};
struct counter {
	unsigned n;
	int64_t last_ms;
};
enum { BY_NAME_AND_NETWORK, BY_NAME, BY_NETWORK, RULES };

static const struct rule RULE[RULES] = {
	[BY_NAME_AND_NETWORK] = {"both",     0,  THROTTLE_MAX_WAIT_MS, 3600000},
	[BY_NAME] = { "name",    20, 30000,                60000  },
	[BY_NETWORK] = { "network", 20, 60000,                60000  },
};

size_t
throttle_bytes(void)
{
	return shared_table_bytes(SETS);
}

struct throttle *
throttle_init(void *mem)
{
	return (struct throttle *)shared_table_init(mem, LAYOUT, SETS);
}

static uint64_t
word_of(uint64_t hash, struct counter k)
{
	const uint64_t t = (uint64_t)(k.last_ms - EPOCH_MS) >> UNIT_SHIFT;

	return (hash >> (TIME_BITS + COUNT_BITS)) << (TIME_BITS + COUNT_BITS) | (uint64_t)k.n << TIME_BITS |
	       (t & TIME_MASK);
}

static bool
word_is(uint64_t word, uint64_t hash)
{
	return word != 0 && (word ^ hash) >> (TIME_BITS + COUNT_BITS) == 0;
}

/* What a word says at now: old failures forgotten. A time in the future (the clock was set back) counts as
 * now. */
static struct counter
word_read(uint64_t word, int64_t now_ms, const struct rule *r)
{
	struct counter k = { .n = (unsigned)(word >> TIME_BITS) & COUNT_MAX,
		             .last_ms = EPOCH_MS + (int64_t)((word & TIME_MASK) << UNIT_SHIFT) };

	if (k.last_ms > now_ms)
		k.last_ms = now_ms;
	const int64_t gone = (now_ms - k.last_ms) / r->forget_ms;
	k.n = gone >= k.n ? 0 : k.n - (unsigned)gone;
	return k;
}

static int64_t
wait_of(struct counter k, int64_t now_ms, const struct rule *r)
{
	const unsigned excess = k.n > r->free ? k.n - r->free : 0;
	int64_t wait = excess >= 32 ? r->cap_ms : ((1LL << excess) - 1) * 500;

	if (wait > r->cap_ms)
		wait = r->cap_ms;
	wait -= now_ms - k.last_ms;
	return excess == 0 || wait < 0 ? 0 : wait;
}

/* Names are counted without regard to ASCII case: "Alice" and "alice" are one account to guess at. */
static uint64_t
hash_of(struct throttle *t, const struct throttle_who *who, int rule)
{
	char name[255];
	const size_t n = who->name.n < sizeof name ? who->name.n : sizeof name;
	struct str parts[3] = { str_of(RULE[rule].label), STR0, STR0 };

	for (size_t i = 0; i < n; i++)
		name[i] = who->name.p[i] >= 'A' && who->name.p[i] <= 'Z' ? (char)(who->name.p[i] | 0x20)
		                                                         : who->name.p[i];
	if (rule != BY_NETWORK)
		parts[1] = (struct str){ name, n };
	if (rule != BY_NAME)
		parts[2] = network_key(&who->network);
	return shared_table_hash(&t->table, parts, 3);
}

/* Two processes may have counted the same thing in two words at once: the larger one is believed. */
static struct counter
find(struct throttle *t, uint64_t hash, int64_t now_ms, const struct rule *r)
{
	_Atomic uint64_t *set = shared_table_set(&t->table, hash);
	struct counter best = { 0, now_ms };

	for (int i = 0; i < SHARED_TABLE_WAYS; i++) {
		const uint64_t w = atomic_load_explicit(&set[i], memory_order_relaxed);
		if (!word_is(w, hash))
			continue;
		const struct counter k = word_read(w, now_ms, r);
		if (k.n > best.n)
			best = k;
	}
	return best;
}

/* The word to count in: the one with this tag, else an empty one, else the one with the fewest failures (the
 * oldest of these). */
static int
choose(const _Atomic uint64_t *set, uint64_t hash, int64_t now_ms)
{
	int best = 0;
	uint64_t best_rank = UINT64_MAX;

	for (int i = 0; i < SHARED_TABLE_WAYS; i++) {
		const uint64_t w = atomic_load_explicit(&set[i], memory_order_relaxed);
		const uint64_t n =
		    word_read(w, now_ms, &RULE[BY_NAME_AND_NETWORK]).n; /* the rule that forgets last */
		const uint64_t rank = w == 0 ? 0 : n << TIME_BITS | (w & TIME_MASK);
		if (word_is(w, hash))
			return i;
		if (rank < best_rank) {
			best_rank = rank;
			best = i;
		}
	}
	return best;
}

static void
count(struct throttle *t, uint64_t hash, int64_t now_ms, const struct rule *r)
{
	_Atomic uint64_t *set = shared_table_set(&t->table, hash);

	for (int tries = 0; tries < 64; tries++) { /* each lost round means that somebody else got on */
		_Atomic uint64_t *w = &set[choose(set, hash, now_ms)];
		uint64_t was = atomic_load(w);
		struct counter k = { 0, now_ms };
		if (word_is(was, hash))
			k = word_read(was, now_ms, r);
		k.n += k.n < COUNT_MAX;
		k.last_ms = now_ms;
		if (atomic_compare_exchange_strong(w, &was, word_of(hash, k)))
			return;
	}
}

int64_t
throttle_wait_ms(struct throttle *t, const struct throttle_who *who, int64_t now_ms)
{
	int64_t longest = 0;

	for (int rule = 0; rule < RULES; rule++) {
		if (rule != BY_NAME_AND_NETWORK && who->is_known)
			continue;
		const int64_t w =
		    wait_of(find(t, hash_of(t, who, rule), now_ms, &RULE[rule]), now_ms, &RULE[rule]);
		if (w > longest)
			longest = w;
	}
	return longest;
}

void
throttle_failed(struct throttle *t, const struct throttle_who *who, int64_t now_ms)
{
	for (int rule = 0; rule < RULES; rule++)
		if (rule == BY_NAME_AND_NETWORK || !who->is_known)
			count(t, hash_of(t, who, rule), now_ms, &RULE[rule]);
}

void
throttle_succeeded(struct throttle *t, const struct throttle_who *who)
{
	const uint64_t hash = hash_of(t, who, BY_NAME_AND_NETWORK);
	_Atomic uint64_t *set = shared_table_set(&t->table, hash);

	for (int i = 0; i < SHARED_TABLE_WAYS; i++) {
		uint64_t w = atomic_load(&set[i]);
		if (word_is(w, hash))
			atomic_compare_exchange_strong(&set[i], &w, 0);
	}
}
